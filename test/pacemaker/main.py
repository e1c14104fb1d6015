"""What a run looks at (see run): parts, each a function here that disturbs the cluster and returns what it found.

lab.py has the controllers and what can happen to them, cluster.py what an operator types and what Pacemaker says, client.py the loads;
report.py makes docs/pacemaker-results.md of all.
"""

import os
import signal
import sys
import time

import cluster
import lab
import report
from cluster import NODES, Loads, alive, bury, hang, pcs, ready, until_alive
from deploy import deploying
from lab import CONTROLLERS, say, until

SETTLE = 5  # seconds of load before and after what happens
SHORT_SHUN = 8  # seconds that clients leave a failed server alone while all are restarted, one after the other


def clones():
    """Both ways to make the clone, and how long each takes to see that the daemon is dead or hangs."""
    found = []
    for way in cluster.WAYS:
        c = cluster.create(way)
        say(f'clone by {way.name}: {c["seconds"]} s')
        row = {'way': way.name, 'create': way.create, 'shown': c['shown'], 'seconds': c['seconds'], 'kills': [], 'hang': None}
        with Loads(kinds=['holdfast by HashClient', 'holdfast by redis-py']) as loads:
            for n in range(way.kills):
                row['kills'].append(recovery(CONTROLLERS[n % 3], bury, way.patience))
                say(f'kill -9 on {CONTROLLERS[n % 3].name}: {row["kills"][-1]}')
            row['load'] = loads.end()
        if way.finds_hang:
            with Loads(kinds=['holdfast by HashClient', 'holdfast by redis-py']) as loads:
                row['hang'] = recovery(CONTROLLERS[1], hang, way.patience)
                say(f'hang: {row["hang"]}')
                row['hang load'] = loads.end()
        found.append(row)
        cluster.delete()
    return found


def recovery(controller, disturb, patience):
    """Seconds from a disturbance until the daemon answers again, and until it serves reads and writes."""
    time.sleep(2)
    began = time.monotonic()
    disturb(controller)
    until(lambda: not alive(controller), 2, 'the end of the daemon', every=0.01)
    until_alive(controller, patience)
    answers = time.monotonic() - began
    until(lambda: ready(controller), 30, f'{controller.name} catching up', every=0.02)
    return {'answers': round(answers, 2), 'serves': round(time.monotonic() - began, 2)}


def losses():
    """What clients of both clones see while a controller is lost, in each way."""
    cluster.create(cluster.OCF)
    found = []
    for name, lose, back, lasts in (
            ('nothing happens', lambda: None, lambda: None, 5),
            ('kill -9 of both daemons on one controller', lambda: cluster.kill_both(CONTROLLERS[1]), lambda: None, 15),
            ('power loss of one controller', CONTROLLERS[2].kill, lambda: cluster.power_on(CONTROLLERS[2]), 20),
            ('one controller cut off from the two others, clients reach all', lambda: CONTROLLERS[0].cut(*CONTROLLERS[1:]), CONTROLLERS[0].uncut, 20),
            ('one controller cut off from everybody', CONTROLLERS[1].cut, CONTROLLERS[1].uncut, 20),
            ('standby of one controller, and back', lambda: pcs('node', 'standby', NODES[0]), lambda: pcs('node', 'unstandby', NODES[0]), 10),
            ('power loss of two of three, and back', lambda: [c.kill() for c in CONTROLLERS[1:]], lambda: [cluster.power_on(c) for c in CONTROLLERS[1:]], 20)):
        found.append(loss(name, lose, back, lasts))
    cluster.delete()
    return found


def loss(name, lose, back, lasts):
    with Loads() as loads:
        time.sleep(SETTLE)
        lose()
        time.sleep(lasts)
        shown = cluster.shown(CONTROLLERS[0])
        answering = [c.name for c in CONTROLLERS if alive(c)]
        back()
        cluster.await_whole()
        time.sleep(SETTLE)
        row = {'what': name, 'clients': loads.end(), 'answering': answering, 'shown': shown}
    say(name)
    for client, seen in row['clients'].items():
        say(f'    {client}: {seen}')
    return row


def quorum():
    """Two of three are lost: what Pacemaker does to the third, with requires=nothing and without."""
    found = []
    for way, durability in ((cluster.OCF, 'second'), (cluster.OCF, 'always'), (cluster.PLAIN, 'second')):
        cluster.configure(durability)
        cluster.create(way)
        for c in CONTROLLERS[1:]:
            c.kill()
        began, down = time.monotonic(), None
        while time.monotonic() - began < 25:
            if down is None and not alive(CONTROLLERS[0]):
                down = round(time.monotonic() - began, 1)
            time.sleep(0.05)
        row = {'create': way.create, 'durability': durability, 'stopped after': down, 'shown': cluster.shown(CONTROLLERS[0])}
        if down is None:  # Pacemaker looks after it without quorum too
            row['restarted after'] = recovery_without_quorum(CONTROLLERS[0])
        for n, c in (('second', CONTROLLERS[1]), ('third', CONTROLLERS[2])):
            began = time.monotonic()
            cluster.power_on(c)
            row[f'serves after the {n} is back'] = serves_within(CONTROLLERS[0], 20, began)
        cluster.await_whole()
        say(f'{way.create}: {row}')
        found.append(row)
        cluster.delete()
    cluster.configure('second')
    return found


def serves_within(controller, seconds, began):
    """Seconds since began when it serves, None if it does not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready(controller):
            return round(time.monotonic() - began, 1)
        time.sleep(0.05)
    return None


def recovery_without_quorum(controller):
    began = time.monotonic()
    bury(controller)
    until_alive(controller, 20)
    return round(time.monotonic() - began, 2)


def restarts():
    """A restart that an operator asks for: of one controller, and of all."""
    cluster.create(cluster.OCF)
    found = []
    for words in (['holdfast-clone', NODES[1]], ['holdfast-clone']):
        with Loads(kinds=['holdfast by HashClient', 'holdfast by redis-py']) as loads:
            time.sleep(SETTLE)
            pcs('resource', 'restart', *words)
            cluster.await_whole()
            time.sleep(SETTLE)
            found.append({'command': ' '.join(['pcs resource restart', *words]), 'clients': loads.end()})
        say(found[-1])
    cluster.delete()
    return found


def upgrade():
    """A newer package on one controller after the other, and the end: remove and purge."""
    found = []
    for way in (cluster.SYSTEMD, cluster.OCF):
        cluster.create(way)
        newer = cluster.newer_package()
        with Loads(kinds=['holdfast by HashClient', 'holdfast by redis-py'], shun=SHORT_SHUN) as loads:
            time.sleep(SETTLE)
            for c in CONTROLLERS:
                cluster.upgrade(c, way)
                time.sleep(SHORT_SHUN + 1)  # until all clients are with all controllers again
            found.append({'way': way.name, 'commands': way.upgrade, 'version': newer, 'versions': [cluster.version_of(c) for c in CONTROLLERS], 'clients': loads.end()})
        say(found[-1])
        cluster.delete()
    return {'upgrades': found, 'left': [cluster.purge(c) for c in CONTROLLERS]}


PARTS = {f.__name__: f for f in (clones, losses, quorum, restarts, upgrade, deploying)}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = sys.argv[1:] or list(PARTS)
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise SystemExit(f'there is no part {", ".join(unknown)}; the parts are {", ".join(PARTS)}')
    os.makedirs(lab.OUT, exist_ok=True)
    try:
        found = {'deployment': cluster.deploy()}
        for name in wanted:
            say(f'== {name}')
            found[name] = PARTS[name]()
        if wanted == list(PARTS):
            report.write(found, os.environ['RESULTS'])
        say('done')
    finally:
        cluster.keep_logs()


if __name__ == '__main__':
    main()
