"""What an operator does to the controllers, what Pacemaker and the daemons say, and the loads beside it."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request

import lab
from lab import CONTROLLERS, say, until

NODES = ['controller1-vm', 'controller2-vm', 'controller3-vm']
KEYS = 3000  # of each client
SHUN = 300  # seconds, as 'holdfast config' prints it for pymemcache
OFFERED = '/var/local/offered'  # apt's repository on each controller
LOOP = 'for NODE in controller1-vm controller2-vm controller3-vm; do ssh root@$NODE "{}"; done'

CONFIG = '''\
redis-listen     = ["0.0.0.0:6379"]
memcached-listen = ["0.0.0.0:11211"]
admin-listen     = ["0.0.0.0:8630"]
peer-listen      = "{address}"
members          = ["controller1-vm=10.77.0.11", "controller2-vm=10.77.0.12", "controller3-vm=10.77.0.13"]
durability       = "{durability}"
insecure         = true
'''


@dataclasses.dataclass
class Way:
    """One way to make the clone."""
    name: str
    create: str
    kills: int  # of the daemon, to see how long it stays dead
    patience: int  # seconds until it must answer again
    finds_hang: bool
    upgrade: str  # what an operator types on a controller


APT = 'apt-get install --only-upgrade holdfast'
RESTART = 'pcs resource restart holdfast-clone CONTROLLER'
SYSTEMD = Way('systemd', 'pcs resource create holdfast systemd:holdfast clone interleave=true', 2, 90, True, APT)
OFTEN = Way('systemd, monitor 5 s', 'pcs resource create holdfast systemd:holdfast op monitor interval=5s clone interleave=true', 3, 30, True, APT)
PLAIN = Way('ocf', 'pcs resource create holdfast ocf:holdfast:holdfast clone interleave=true', 3, 30, True, f'{APT}; {RESTART}')
OCF = Way('ocf, requires=nothing', 'pcs resource create holdfast ocf:holdfast:holdfast meta requires=nothing clone interleave=true', 6, 30, True, f'{APT}; {RESTART}')
WAYS = [SYSTEMD, OFTEN, OCF]

mgmt = None


def deploy():
    """From nothing to a cluster with a memcached clone, and Holdfast installed. Returns how it went."""
    global mgmt
    mgmt = lab.build()
    lab.do('ip', 'addr', 'add', '10.77.0.2/24', 'dev', 'switch')  # for this process, which no cut concerns
    for c in CONTROLLERS:
        offered = c.disk + OFFERED
        shutil.copytree(lab.ROOT + OFFERED, offered)
        lab.offer(offered, os.environ['DEB'])
    say('== three controllers boot')
    lab.boot()
    say('== pcs forms the cluster')
    for c in CONTROLLERS:
        until(lambda: 'active' == c.run('systemctl', 'is-active', 'pcsd', check=False).strip(), 60, 'pcsd on ' + c.name)
    pcs('host', 'auth', *NODES, '-u', 'hacluster', '-p', 'hacluster')
    pcs('cluster', 'setup', 'openstack', *NODES, '--start', '--enable', '--wait=120')
    pcs('property', 'set', 'stonith-enabled=false')  # there is no fence device here
    say('== packages')
    took = {p: loop('apt-get -q update && apt-get -q install -y ' + p) for p in ('memcached', 'holdfast')}
    loop('sed -i s/^-l.*/-l\\ 0.0.0.0/\\;s/^-p.*/-p\\ 11311/ /etc/memcached.conf && systemctl disable --now memcached')
    configure('second')
    pcs('resource', 'create', 'memcached', 'systemd:memcached', 'clone', 'interleave=true', '--wait=60')
    version = CONTROLLERS[0].run('holdfast', 'version').split()[-1]
    packages = ['systemd', 'corosync', 'pacemaker', 'pcs', 'resource-agents', 'memcached', 'python3-pymemcache', 'python3-redis']
    tester = CONTROLLERS[0].shell('ocf-tester -n holdfast /usr/lib/ocf/resource.d/holdfast/holdfast 2>&1 | tail -1; rm -rf /var/lib/holdfast/*').strip()
    say(tester)
    return {'loop': LOOP.format('apt-get -q install -y holdfast'), 'seconds': took['holdfast'], 'version': version, 'tester': tester,
            'packages': CONTROLLERS[0].run('dpkg-query', '-W', '-f', '${Package} ${Version}\n', *packages).strip().split('\n')}


def configure(durability):
    for c in CONTROLLERS:
        c.run('sh', '-c', 'cat >/etc/holdfast/holdfast.toml', input=CONFIG.format(address=c.address, durability=durability))


def loop(command):
    """The loop of a management node; returns the seconds that it took."""
    began = time.monotonic()
    mgmt.shell('set -e; export DEBIAN_FRONTEND=noninteractive; ' + LOOP.format(command))
    return round(time.monotonic() - began, 1)


def pcs(*words):
    return next(c for c in CONTROLLERS if c.up()).run('pcs', *words)


def create(way):
    began = time.monotonic()
    CONTROLLERS[0].shell(way.create)
    await_whole()
    took = time.monotonic() - began
    until(lambda: pcs('resource').count(f'Started: [ {" ".join(NODES)} ]') == 2, 60, 'both clones being Started')  # it polls the unit
    return {'seconds': round(took, 1), 'shown': shown(CONTROLLERS[0])}


def delete():
    pcs('resource', 'delete', 'holdfast')
    until(lambda: not any(alive(c) for c in CONTROLLERS), 60, 'the end of all daemons')


def shown(controller):
    """What Pacemaker knows, as seen from a controller."""
    return controller.run('pcs', 'resource').rstrip()


def pid(controller, name):
    """The number of the controller's process of that name, in this process's eyes; 0 for none."""
    for d, _, _ in os.walk(controller.cgroup):
        with open(d + '/cgroup.procs') as f:
            for line in f:
                try:
                    with open(f'/proc/{line.strip()}/comm') as comm:
                        if comm.read().strip() == name:
                            return int(line)
                except FileNotFoundError:
                    pass
    return 0


def bury(controller):
    os.kill(pid(controller, 'holdfast'), signal.SIGKILL)


def hang(controller):
    os.kill(pid(controller, 'holdfast'), signal.SIGSTOP)


def kill_both(controller):
    bury(controller)
    os.kill(pid(controller, 'memcached'), signal.SIGKILL)


def alive(controller):
    """Whether the daemon answers."""
    try:
        with socket.create_connection((controller.address, 6379), 0.3) as s:
            s.sendall(b'PING\r\n')
            return s.recv(1) == b'+'
    except OSError:
        return False


def until_alive(controller, seconds):
    until(lambda: alive(controller), seconds, f'{controller.name} answering', every=0.02)


def page(controller, path):
    """The code and the text of a page of the admin port."""
    try:
        with urllib.request.urlopen(f'http://{controller.address}:8630{path}', timeout=1) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, ''
    except OSError:
        return 0, ''


def ready(controller):
    return page(controller, '/readyz')[0] == 200


def status(controller):
    code, body = page(controller, '/status')
    return json.loads(body) if code == 200 else {}


def memcached_up(controller):
    with socket.socket() as s:
        s.settimeout(0.3)
        return s.connect_ex((controller.address, 11311)) == 0


def await_whole():
    """Waits until both clones run everywhere and the group is whole."""
    for c in CONTROLLERS:
        until(lambda: ready(c) and status(c).get('verdict') == 'healthy', 180, f'{c.name} being healthy')
        until(lambda: memcached_up(c), 120, 'memcached on ' + c.name)


def power_on(controller):
    controller.boot()
    controller.await_boot()


def newer_package():
    """Offers the same package under a higher version, which is returned."""
    build = os.path.join(lab.SCRATCH, 'newer')
    shutil.rmtree(build, ignore_errors=True)
    lab.do('dpkg-deb', '-R', newest_deb(), build)
    with open(build + '/DEBIAN/control') as f:
        control = f.read()
    now = next(line.split()[1] for line in control.split('\n') if line.startswith('Version:'))
    with open(build + '/DEBIAN/control', 'w') as f:
        f.write(control.replace('Version: ' + now, f'Version: {now}+newer'))
    deb = os.path.join(lab.SCRATCH, f'holdfast_{now}+newer_amd64.deb')
    lab.do('dpkg-deb', '-Zgzip', '-b', build, deb)
    for c in CONTROLLERS:
        lab.offer(f'/proc/{c.pid}/root{OFFERED}', deb)
    return now + '+newer'


def newest_deb():
    made = [os.path.join(lab.SCRATCH, n) for n in os.listdir(lab.SCRATCH) if n.endswith('.deb')]
    return max(made, key=os.path.getmtime, default=os.environ['DEB'])


def upgrade(controller, way):
    for command in way.upgrade.replace('CONTROLLER', controller.name).split('; '):
        command = command.replace('apt-get install', 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install')
        mgmt.run('ssh', 'root@' + controller.name, command)
    time.sleep(1)
    await_whole()


def version_of(controller):
    return controller.run('dpkg-query', '-W', '-f', '${Version}', 'holdfast')


def purge(controller):
    """Removes the package and returns what is left of it."""
    mgmt.run('ssh', 'root@' + controller.name, 'DEBIAN_FRONTEND=noninteractive apt-get -q -y remove holdfast && DEBIAN_FRONTEND=noninteractive apt-get -q -y purge holdfast')
    left = controller.shell("find / -xdev -iname '*holdfast*' ! -path '/var/local/*' ! -path '/proc/*' ! -path '/var/cache/*'; getent passwd holdfast; true").split()
    return [*left, *(['a process'] if pid(controller, 'holdfast') else [])]


class Loads:
    """Clients on the management host, one process each, from when all have written their keys until end."""

    def __init__(self, kinds=('holdfast by HashClient', 'holdfast by redis-py', 'memcached by HashClient'), shun=SHUN):
        self.kinds, self.shun = kinds, shun

    def __enter__(self):
        self.clients = {k: mgmt.start('python3', '/test/client.py', k, str(KEYS), str(self.shun)) for k in self.kinds}
        for kind in self.kinds:
            self.line(kind)
        return self

    def line(self, kind):
        text = self.clients[kind].stdout.readline()
        if not text:
            raise SystemExit(f'the client {kind} has ended')
        return text

    def tell(self):
        for c in self.clients.values():
            c.stdin.write('\n')
            c.stdin.flush()

    def end(self):
        """What each has seen, and how much of what was acknowledged to it is gone."""
        self.tell()
        seen = {k: json.loads(self.line(k)) for k in self.kinds}
        self.tell()
        for k in self.kinds:
            seen[k].update(json.loads(self.line(k)))
        return seen

    def __exit__(self, *_):
        for c in self.clients.values():
            c.kill()
            c.wait()


def keep_logs():
    for c in CONTROLLERS:
        if c.up():
            with open(os.path.join(lab.OUT, c.name + '.log'), 'w') as f:
                f.write(c.run('journalctl', '--no-pager', '-o', 'short-precise', check=False))
