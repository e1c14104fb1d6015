"""The report, made of what the parts found: docs/openstack-results.md for bookworm, openstack-results-SUITE.md for another Debian."""

import json
import os
import platform
import subprocess
import time

import world

NAME = 'openstack-results.md' if world.SUITE == 'bookworm' else f'openstack-results-{world.SUITE}.md'
REPORT = f'{world.OUT if world.QUICK else "/srv/holdfast/docs"}/{NAME}'

PACKAGES = ['keystone', 'openstack-dashboard', 'ceilometer-agent-central', 'python3-tooz', 'python3-oslo.cache', 'python3-dogpile.cache', 'python3-django',
            'python3-django-redis', 'python3-redis', 'python3-pymemcache', 'python3-memcache', 'python3-pylibmc', 'redis-server', 'memcached', 'mariadb-server',
            'chromium']


def table(*rows):
    head, *rest = [[str(c) for c in r] for r in rows]
    return '\n'.join('| ' + ' | '.join(r) + ' |' for r in [head, ['---'] * len(head), *rest]) + '\n'


def statuses(counted):
    return ', '.join(f'{n} x {"no answer" if s in (0, "0") else s}' for s, n in sorted(counted.items(), key=lambda p: -p[1]))


def machine():
    with open('/proc/cpuinfo') as f:
        processors = f.read().count('processor\t')
    with open('/proc/meminfo') as f:
        memory = round(int(f.readline().split()[1]) / 2**20)
    with open('/etc/os-release') as f:
        debian = next(line.split('=')[1].strip().strip('"') for line in f if line.startswith('PRETTY_NAME'))
    asked = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', *PACKAGES], capture_output=True, text=True).stdout
    holdfast = subprocess.run(['holdfast', 'version'], capture_output=True, text=True).stdout.strip()
    return (f'- Machine: {processors} processors, {memory} GiB, Linux {platform.release().partition("-")[0]}; load average at the end {os.getloadavg()[1]:.1f} over five minutes\n'
            f'- {debian}, whose OpenStack is {world.RELEASE.capitalize()}: {", ".join(asked.split(chr(10))[:-1])}\n- {holdfast}\n'
            '- Controller i is 127.0.0.i in a network of the run\'s own; a death is kill -9 of the process. All share the processors: times are above those of three machines.\n')


def goals(found):
    """What was aimed at, and whether it was met: rows of a table."""
    ours = [r for r in found['keystone'] if r['on'].startswith('Holdfast')]
    good = sum(r['life']['still good after revocation'] for r in ours if 'life' in r)
    yield 'a revoked token is refused on all controllers at once', f'{good} validations passed', good == 0
    for form in dict.fromkeys(r['form'] for r in ours):
        rows = [r for r in ours if r['form'] == form]
        bad = sum(n for r in rows for s, n in r['statuses'].items() if s not in (200, '200'))
        longest = max(r['longest ms'] for r in rows)
        yield f'Keystone, {form}: every validation is answered with 200 within 1 s, whoever dies', f'{bad} were not 200, longest {longest} ms', bad == 0 and longest <= 1000
    for form in dict.fromkeys(r['form'] for r in found['horizon'] if r['on'].startswith('Holdfast')):
        rows = [r for r in found['horizon'] if r['form'] == form and r['on'].startswith('Holdfast')]
        lost = sum(max(r['logged in'] - r['still logged in'], r['logged out by it']) for r in rows)
        bad = sum(n for r in rows for s, n in r['statuses'].items() if s not in (200, '200'))
        yield f'Horizon, {form}: nobody is logged out and no page is an error, whoever dies', f'{lost} logged out, {bad} errors', lost == bad == 0
    members = [r for r in found['ceilometer'] if 'agent' not in r['what']]
    faults = sum(r['twice'] + r['never'] for r in members)
    yield 'Ceilometer: nothing is polled twice or left out when a member dies', f'{faults} faults', faults == 0
    slowest = max(r['seconds'] for r in found['ceilometer'] if 'agent' in r['what'])
    whole = all(r['complete'] and not r['wrong before'] for r in found['ceilometer'])
    yield 'Ceilometer: a partition without gap or overlap at all other times', f'complete again at most {slowest} s after an agent died', whole
    lost = sum(r['seen before'] - 1 - r['logged in after'] for r in found['move'])
    yield 'nobody is logged out by moving over', f'{lost} logged out', lost == 0


def keystone(rows):
    lives = [r for r in rows if 'life' in r]
    of = lambda r: 'as `holdfast config` prints it' + r['form'].removeprefix('as holdfast config prints it') if 'prints' in r['form'] else f'`{r["form"]}`'
    return f'''## Keystone: tokens

Three Keystones, one on each controller, with one database. `dogpile.cache.redis` has the address of the Redis beside it (there is only
one of redis-server); the others have all three servers. A token is issued on one controller, validated on all, revoked on the next, and
then validated on all three at the same time:

{table(['[cache]', 'on', 'tokens', 'validations that a revoked token still passed', 'all had refused it after, ms', 'anything else that was wrong'],
       *([of(r), r['on'], r['life']['tokens'], r['life']['still good after revocation'], r['life']['refused everywhere after ms'], '; '.join(r['life']['wrong']) or 'nothing']
         for r in lives))}
{rows and sum(map(int, rows[0]['statuses'].values()))} validations one after the other, and a server dies after a sixth of them and stays away unless it says otherwise:

{table(['[cache]', 'on', 'who dies', 'answers', 'over 1 s', 'longest, ms', 'median before, ms', 'a new token then'],
       *([of(r), r['on'], r['victim'], statuses(r['statuses']), r['slow'], r['longest ms'], r['median ms before'], r['new token'] or 'no answer'] for r in rows))}'''


def horizon(rows):
    people = list({(r['form'], r['on']): r for r in rows}.values())
    return f'''## Horizon: sessions

A person logs in through the form in headless Chromium, looks at projects and users, logs out, and is sent to the form again
(the pictures are in `test/openstack/out/{world.SUITE}/`). `redis_cache.cache.RedisCache` is a back end of the test's own that says the commands which
that one said; see `test/openstack/old_redis_cache.py`.

{table(['CACHES', 'on', 'after the log-in', 'users seen', 'after the log-out'],
       *([r['form'], r['on'], r['person']['after log-in'], r['person']['users'], r['person']['after log-out']] for r in people))}
Users are logged in and open pages, four at a time, while a server dies. It stays away unless it says otherwise. Horizon talks to the first
member unless the form names all.

{table(['CACHES', 'on', 'who dies', 'logged in', 'sent to the form at least once', 'logged in at the end', 'pages', 'longest, ms', 'all pages, s'],
       *([r['form'], r['on'], r['victim'], r['logged in'], r['logged out by it'], r['still logged in'], statuses(r['statuses']), r['longest ms'], r['seconds']] for r in rows))}'''


def ceilometer(rows):
    return f'''## Ceilometer: who polls what

Three agents share 60 resources, which each should poll every 2 s. Polled twice: again within half an interval. Never: not for two and a half intervals. Seconds are
those from the act to the end of the last such fault, 0 if there was none.

{table(['[coordination]', 'what happened', 'faults before', 'complete again after, s', 'resources concerned', 'twice', 'never', 'longest gap, s', 'complete at the end', 'resources of each agent'],
       *([r['url'], r['what'], r['wrong before'], r['seconds'], r['resources'], r['twice'], r['never'], r['longest gap'] or '-', 'yes' if r['complete'] else '**no**',
          ' + '.join(map(str, r['shares']))] for r in rows))}'''


def sessions(rows):
    return f'''## Side by side: sessions

Django's session store in one process, a session of 2 KiB: medians of a load and of a save (which is a load and a write). Then 300
sessions, and the death of one server, which is back after 10 s: how many were not there at least once (their users are at the form), how
many loads failed with an error (the page is a 500), how many are gone even then, and after how many seconds log-ins worked and went on to.

{table(['what keeps them', 'load, us', 'save, us', 'seen by other processes', 'users at the form, of 300', 'users with a 500', 'gone for good', 'log-ins work after, s'],
       *([r['title'], r['load'], r['save'], 'yes' if r['shared'] else '**no**', r['thrown out'], r['errors'], r['gone for good'],
          'more than 15' if r['log-ins after'] is None else r['log-ins after']] for r in rows))}'''


def tokens(rows):
    from tokens import EXPIRY
    cells = lambda f: [f['tokens'], f['MiB of memory'], f['MiB on disk'] or '-']
    return f'''## Side by side: tokens

100,000 tokens of 2 KiB are written, as the drivers did that store tokens. When their hour has passed ({EXPIRY} s here) and a little more, another
100,000 follow. The tokens that are there, and the resident memory and the files of one server in MiB, at these three moments.

{table(['what keeps them', 'written: tokens', 'memory', 'files', 'an hour later: tokens', 'memory', 'files', 'the next 100,000: tokens', 'memory', 'files'],
       *([r['title'], *cells(r['first']), *cells(r['between']), *cells(r['second'])] for r in rows))}'''


def move(rows):
    return f'''## Moving over

Horizon on the old servers, half of the users logged in; `holdfast import --follow` is started, the other half log in and all open a page, one logs
out; Horizon is stopped, its settings are changed to what `holdfast config horizon` prints, it is started.

{table(['from', 'logged in before', 'of these after, without the one who logged out', 'when the old servers are gone', 'the one who logged out is logged in again by itself'],
       *([f"`{r['from'].split('://')[0]}://`", r['seen before'], r['logged in after'], r['logged in without the old servers'], '**yes**' if r['the logged-out one is back'] else 'no'] for r in rows))}'''


def write(files, to):
    """Writes the report of what is in files, by part."""
    found = {}
    for name, path in files.items():
        with open(path) as f:
            found[name] = json.load(f)
    text = f'''# OpenStack's own services on Holdfast

Written by `make openstack{"" if world.SUITE == "bookworm" else " SUITE=" + world.SUITE}` on {time.strftime('%Y-%m-%d')}; do not edit. The services are Debian's packages, unchanged, with the settings that are named.

{machine()}
{table(['goal', 'measured', 'verdict'], *([goal, measured, 'met' if met else '**missed**'] for goal, measured, met in goals(found)))}
''' + '\n'.join(globals()[name](found[name]) for name in files)
    with open(to, 'w') as f:
        f.write(text.rstrip() + '\n')
    print('written:', to.removeprefix('/srv/holdfast/'))
