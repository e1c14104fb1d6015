"""'holdfast deploy' from the management host, over real ssh: what stops it, what a failure leaves behind, founding, again, deaths, upgrading, Pacemaker."""

import os
import shutil
import time

import cluster
import lab
from cluster import NODES, Loads, until
from lab import CONTROLLERS, say

HOSTS = ' '.join(NODES)
SHUN = 8  # seconds that a client leaves a failed server alone
WORDS = f'holdfast deploy {HOSTS} --insecure --package /root/packages --pause {SHUN + 2}s'
CLIENTS = ['holdfast by HashClient', 'holdfast by redis-py']


def deploying():
    """From controllers without Holdfast to a clone that was upgraded, by one command, run again and again."""
    prepare()
    found = {'refused': refused(), 'taken back': taken_back()}
    began = time.monotonic()
    deploy()
    found['seconds'] = round(time.monotonic() - began, 1)
    say(f'deployed in {found["seconds"]} s')
    lives = [cluster.pid(c, 'holdfast') for c in CONTROLLERS]
    if 'nothing was changed' not in deploy() or lives != [cluster.pid(c, 'holdfast') for c in CONTROLLERS]:
        raise SystemExit('a second run changed something')
    found['killed'] = killed()
    found['by systemd'] = rolled('--upgrade', offer_newer())
    found['to Pacemaker'] = rolled('--pacemaker', None)
    found['by Pacemaker'] = rolled('--upgrade', offer_newer())
    found['shown'] = cluster.shown(CONTROLLERS[0])
    cluster.delete()
    for c in CONTROLLERS:
        cluster.purge(c)
        c.shell('rm -rf /etc/holdfast /var/cache/holdfast')
    return found


def prepare():
    """Takes Holdfast from the controllers, and gives the program and the package to the management host."""
    root = cluster.mgmt.root
    lab.do('dpkg-deb', '-x', os.environ['DEB'], root + '/opt')
    shutil.move(root + '/opt/usr/bin/holdfast', root + '/usr/bin/holdfast')
    os.makedirs(root + '/root/packages')
    shutil.copy(os.environ['DEB'], root + '/root/packages')
    for c in CONTROLLERS:
        c.shell('dpkg --purge holdfast; rm -rf /etc/holdfast /var/cache/holdfast')


def deploy(more='', check=True):
    return cluster.mgmt.shell(f'cd /root && {WORDS} {more}', check=check)


def refused():
    """Somebody is on a port: he is named, and nothing is changed anywhere."""
    CONTROLLERS[1].run('systemd-run', '--unit=squatter', 'python3', '-m', 'http.server', '6379')
    until(lambda: cluster.pid(CONTROLLERS[1], 'python3'), 5, 'a server of before')
    until(lambda: ':6379' in CONTROLLERS[1].run('ss', '-Hltn'), 5, 'a server of before')
    said = deploy(check=False)
    wanted = ('controller2-vm, check: python3 (process', 'squatter.service', "'systemctl disable --now squatter.service'")
    if not all(w in said for w in wanted) or any(os.path.exists(f'/proc/{c.pid}/root/etc/holdfast') for c in CONTROLLERS):
        raise SystemExit('a port was taken, and deploy said\n' + said)
    CONTROLLERS[1].run('systemctl', 'stop', 'squatter')
    say('refused, as it should be')
    return said.strip().split('\n')[-1]


def taken_back():
    """The last controller cannot be written to: nothing is started, and the others are as they were, but for the package."""
    last = CONTROLLERS[2]
    last.shell('mkdir -p /etc/holdfast && mount -t tmpfs -o ro tmpfs /etc/holdfast')
    said = deploy(check=False)
    last.shell('umount /etc/holdfast')
    if 'controller3-vm, ' not in said:
        raise SystemExit('a host could not be written to, and deploy said\n' + said)
    for c in CONTROLLERS:
        left = c.shell('ls /etc/holdfast/*.pem /etc/holdfast/*deploy* 2>/dev/null; systemctl is-active holdfast; systemctl is-enabled holdfast 2>/dev/null', check=False).split()
        if set(left) - {'inactive', 'disabled'}:
            raise SystemExit(f'{c.name} was left with {left}')
    say('taken back, as it should be')
    return said.strip().split('\n')[-1]


def killed():
    """Each daemon is killed with -9 under load, and systemd starts it again: nothing is lost."""
    seconds = []
    with Loads(kinds=CLIENTS, shun=SHUN) as loads:
        for c in CONTROLLERS:
            life, began = cluster.pid(c, 'holdfast'), time.monotonic()
            cluster.bury(c)
            until(lambda: cluster.pid(c, 'holdfast') not in (0, life) and cluster.alive(c), 10, f'{c.name} answering again', every=0.01)
            seconds.append(round(time.monotonic() - began, 2))
            time.sleep(SHUN + 2)
        clients = loads.end()
    say(f'kill -9: {seconds} s, {clients}')
    if any(c['lost'] for c in clients.values()):
        raise SystemExit(f'kill -9 has lost something: {clients}')
    return {'seconds': ', '.join(map(str, seconds)), 'clients': clients}


def offer_newer():
    version = cluster.newer_package()
    shutil.copy(cluster.newest_deb(), cluster.mgmt.root + '/root/packages')
    return version


def rolled(how, version):
    """A rolling change under load: nothing is lost, and no request fails but the one that HashClient has under way when its connection is cut."""
    with Loads(kinds=CLIENTS, shun=SHUN) as loads:
        began = time.monotonic()
        deploy(how)
        took = round(time.monotonic() - began, 1)
        clients = loads.end()
    say(f'{how}: {took} s, {clients}')
    if version and any(cluster.version_of(c) != version for c in CONTROLLERS):
        raise SystemExit(f'after {how} the versions are {[cluster.version_of(c) for c in CONTROLLERS]}')
    if any(c['lost'] for c in clients.values()) or clients['holdfast by redis-py']['errors']:
        raise SystemExit(f'{how} was noticed: {clients}')
    return {'seconds': took, 'clients': clients}
