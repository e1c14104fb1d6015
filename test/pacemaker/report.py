"""docs/pacemaker-results.md, made of what the parts found."""

import os
import platform
import statistics


def table(*rows):
    head, *rest = [[str(c) for c in r] for r in rows]
    return '\n'.join('| ' + ' | '.join(r) + ' |' for r in [head, ['---'] * len(head), *rest]) + '\n'


def block(text):
    return '\n'.join('    ' + line for line in text.split('\n')) + '\n'


def machine(found):
    with open('/proc/meminfo') as f:
        memory = round(int(f.readline().split()[1]) / 2**20)
    return (f'- Machine: {os.cpu_count()} processors, {memory} GiB, Linux {platform.release().partition("-")[0]}; load average at the end {os.getloadavg()[1]:.1f} over five minutes. All three '
            'controllers and their clients share it: times that are no time-outs are above those of three machines.\n'
            f'- On each controller: {", ".join(found["packages"])}, holdfast {found["version"]}\n'
            '- Corosync has the time-outs that `pcs cluster setup` gives three nodes. There is no fence device (`stonith-enabled=false`).\n')


def seconds(value):
    return 'never' if value is None else f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def span(values):
    return f'{seconds(min(values))} to {seconds(max(values))}, median {seconds(statistics.median(values))}'


def clones(rows):
    yield '''## The clone, and a daemon that dies or hangs

kill -9 of the daemon on one controller after the other: until it answers PING again, in seconds. SIGSTOP: a process that is there and does nothing. Beside it two
clients that list all three controllers work all the time, one by HashClient, one by redis-py.
'''
    yield table(['made by', 'answers again after kill -9', 'answers again after SIGSTOP', 'acknowledged writes lost'],
                *([r['way'], f'{span([k["answers"] for k in r["kills"]])} ({len(r["kills"])} times)', seconds(r['hang']['answers']),
                   sum(client['lost'] for load in (r['load'], r['hang load']) for client in load.values())] for r in rows))
    yield 'After it answers it serves reads and writes within ' + seconds(max(k['serves'] - k['answers'] for r in rows for k in r['kills'])) + ' s: it has caught up by then.\n'
    for r in rows:
        yield f'**{r["way"]}** (until all three serve: {r["seconds"]} s)\n'
        yield block(f'# {r["create"]}\n# pcs resource\n{r["shown"]}')


def losses(rows):
    yield '''## A controller is lost

Both clones run in the same cluster, Holdfast by the agent with `requires=nothing`. Each client lists all three controllers: pymemcache's HashClient with the settings that
`holdfast config horizon --protocol memcached` prints, the same for both; redis-py with the controllers as its Sentinels. They write and read all the time, from 5 s before until 5 s
after all is well again. *Lost* is what was acknowledged and is not there in the end; *found nothing* are reads, meanwhile, of what was acknowledged; *longest pause* is without one
good answer.
'''
    for r in rows:
        yield f'### {r["what"][0].upper()}{r["what"][1:]}\n'
        yield table(['client', 'acknowledged keys', 'lost', 'reads that found nothing', 'requests that failed', 'longest pause, s'],
                    *([name, c['written'], c['lost'], c['missing'], f'{c["errors"]} of {c["calls"]}' + kinds(c), f'{c["pause"]:.2f}'] for name, c in r['clients'].items()))
        yield f'Meanwhile Holdfast answers on {", ".join(r["answering"]) or "no controller"}, and `pcs resource` on controller1-vm says\n'
        yield block(r['shown'])


def kinds(c):
    return f' ({", ".join(f"{n} {k}" for k, n in sorted(c["kinds"].items()))})' if c['kinds'] else ''


def quorum(rows):
    yield '''## Two of three lose their power

What happens to the daemon on the third, and when it serves again. A member that lost its power with `durability = second` may have forgotten what it acknowledged a second
before: two such members are no majority with the third, and all three must be there. With `always` two are enough.
'''
    yield table(['clone', 'durability', 'Pacemaker stops the third', 'kill -9 of the third: answers again', 'serves after the second is back', 'after the third'],
                *([f'`{r["create"].split(" ", 4)[4]}`', r['durability'], 'no' if r['stopped after'] is None else f'after {r["stopped after"]} s',
                   seconds(r['restarted after']) + ' s' if 'restarted after' in r else '-', back(r['serves after the second is back']), back(r['serves after the third is back'])] for r in rows))


def back(value):
    return 'not' if value is None else f'{value} s'


def restarts(rows):
    yield '## pcs resource restart\n'
    yield table(['command', 'client', 'lost', 'requests that failed', 'longest pause, s'],
                *([f'`{r["command"]}`', name, c['lost'], f'{c["errors"]} of {c["calls"]}' + kinds(c), f'{c["pause"]:.2f}'] for r in rows for name, c in r['clients'].items()))


def upgrade(found):
    yield '''## A newer package, and the end

The package is installed on one controller after the other, each when the one before serves again and HashClient has come back to it: here it leaves a server that failed alone for
8 s, not 300. A client whose connection was at the controller that restarts has it closed, and turns to the next; the table counts what failed for it too.
'''
    yield table(['clone', 'on each controller', 'client', 'lost', 'requests that failed', 'longest pause, s'],
                *([r['way'], f'`{r["commands"]}`', name, c['lost'], f'{c["errors"]} of {c["calls"]}' + kinds(c), f'{c["pause"]:.2f}']
                  for r in found['upgrades'] for name, c in r['clients'].items()))
    left = sorted({name for names in found['left'] for name in names})
    yield f'`apt-get remove`, then `apt-get purge`, on all three: {"left behind: " + ", ".join(left) if left else "nothing is left behind"}.\n'


def deploying(found):
    yield f'''## holdfast deploy

From the management host, by ssh, to controllers without Holdfast: {found["seconds"]} s until the group is healthy; a second run changes nothing. With a server of before on a port, and
with a controller that could not be written to, it said this, started nothing, and left nothing but the package:
'''
    yield block(found['refused'] + '\n' + found['taken back'])
    yield 'Then, with clients that leave a server that failed alone for 8 s, and `--pause 10s`:\n'
    yield table(['change', 'took, s', 'client', 'lost', 'requests that failed', 'longest pause, s'],
                *([what, found[key]['seconds'], name, c['lost'], f'{c["errors"]} of {c["calls"]}' + kinds(c), f'{c["pause"]:.2f}']
                  for what, key in (('`kill -9` of one after the other, under systemd', 'killed'), ('`--upgrade`, under systemd', 'by systemd'), ('`--pacemaker`', 'to Pacemaker'), ('`--upgrade`, under Pacemaker', 'by Pacemaker'))
                  for name, c in found[key]['clients'].items()))


def write(found, path):
    d = found['deployment']
    parts = [f'''# Under Pacemaker

Generated by `make pacemaker`; [pacemaker.md](pacemaker.md) says what to make of it.

{machine(d)}
## Installed by a loop

On a management host, which took {d["seconds"]} s:

{block(d["loop"])}
`{d["tester"]}` (ocf-tester).
''']
    for part in (clones, losses, quorum, restarts, upgrade, deploying):
        parts += list(part(found[part.__name__]))
    with open(path, 'w') as f:
        f.write('\n'.join(parts))
