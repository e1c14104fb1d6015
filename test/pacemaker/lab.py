"""Three controllers and a management host on one machine: namespaces, a switch between them, and how to disturb them.

A controller has systemd as its first process and is what a small server is to Corosync and Pacemaker. Its disk outlives its death. The
management host has a network of its own and runs nothing: the loads and ssh run there. All of it ends with this process (see run).
"""

import os
import shutil
import subprocess
import time

ROOT, SCRATCH, CGROUP, OUT = (os.environ[n] for n in ('ROOT', 'SCRATCH', 'CGROUP', 'OUT'))
HERE = os.path.dirname(os.path.abspath(__file__))
PATH = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'
SWITCH = '''
table bridge switch {
    set cut { type ifname . ifname; }
    chain forward { type filter hook forward priority 0; iifname . oifname @cut drop; }
}'''
BEGAN = time.monotonic()


def say(*words):
    print(f'{time.monotonic() - BEGAN:6.0f} s ', *words, flush=True)


def until(condition, seconds, what, every=0.1):
    """Polls condition until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise SystemExit(f'{what} did not come about within {seconds} s')
        time.sleep(every)


def do(*command, check=True, **options):
    """Runs a program of the machine and returns what it prints."""
    if 'input' not in options:
        options['stdin'] = subprocess.DEVNULL
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if check and done.returncode:
        raise SystemExit(f'{" ".join(command)}: exit code {done.returncode}\n{done.stdout[-3000:]}')
    return done.stdout


class Host:
    """What has a name and an address: a network namespace with a cable to the switch."""

    def __init__(self, name, address, port):
        self.name, self.address, self.port = name, address, port
        do('ip', 'netns', 'add', name)
        do('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
        do('ip', 'link', 'set', port, 'master', 'switch', 'up')
        for command in (['link', 'set', 'lo', 'up'], ['link', 'set', 'eth0', 'up'], ['addr', 'add', address + '/24', 'dev', 'eth0']):
            do('ip', '-n', name, *command)

    def run(self, *command, check=True, **options):
        return do(*self.enter(), *command, check=check, **options)

    def shell(self, script, **options):
        return self.run('sh', '-c', script, **options)


class Management(Host):
    def __init__(self):
        super().__init__('mgmt-vm', '10.77.0.1', 'm0')
        own = os.path.join(SCRATCH, self.name)
        self.root = os.path.join(own, 'root')
        for d in ('root', 'changes', 'work'):
            os.makedirs(os.path.join(own, d))
        do('mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir={ROOT},upperdir={own}/changes,workdir={own}/work', self.root)
        do('mount', '-t', 'proc', 'proc', self.root + '/proc')
        do('mount', '--rbind', '/dev', self.root + '/dev')
        os.mkdir(self.root + '/test')
        do('mount', '--bind', HERE, self.root + '/test')

    def enter(self):
        return ['nsenter', f'--net=/run/netns/{self.name}', 'chroot', self.root, 'env', '-i', PATH, 'HOME=/root', 'LANG=C.UTF-8', 'PYTHONDONTWRITEBYTECODE=1']

    def start(self, *command):
        """Starts a program that goes on, with pipes."""
        return subprocess.Popen([*self.enter(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Controller(Host):
    def __init__(self, number):
        super().__init__(f'controller{number}-vm', f'10.77.0.{10 + number}', f'c{number}')
        self.own = os.path.join(SCRATCH, self.name)
        self.disk = os.path.join(self.own, 'changes')
        self.cgroup = os.path.join(CGROUP, self.name)
        self.process, self.pid = None, 0
        for d in ('root', 'work', 'changes/etc'):
            os.makedirs(os.path.join(self.own, d))
        self.write('/etc/hostname', self.name + '\n')
        # Before the first boot: else systemd would take it for a new machine, and enable every service that is installed.
        self.write('/etc/machine-id', open('/proc/sys/kernel/random/uuid').read().replace('-', ''))

    def write(self, path, text):
        """Writes a file while the controller is off."""
        path = self.disk + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)

    def boot(self):
        os.makedirs(self.cgroup, exist_ok=True)
        shutil.rmtree(os.path.join(self.own, 'work'))
        os.mkdir(os.path.join(self.own, 'work'))
        # The shell enters the control group first: the new namespace of groups begins there.
        script = f'echo $$ >{self.cgroup}/cgroup.procs; exec setsid nsenter --net=/run/netns/{self.name} unshare --fork --kill-child --pid --mount --uts --ipc --cgroup "$@"'
        with open(os.path.join(OUT, self.name + '.console'), 'a') as console:
            self.process = subprocess.Popen(['sh', '-c', script, 'sh', os.path.join(HERE, 'init'), ROOT, self.own, self.name],
                                            stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self.pid = until(self.child, 5, f'{self.name} starting')
        self.uncut()

    def child(self):
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children') as f:
            pid = f.read().strip()
        return pid and os.path.basename(os.readlink(f'/proc/{pid}/exe')) == 'systemd' and int(pid)

    def await_boot(self):
        until(lambda: self.run('systemctl', 'is-system-running', check=False).strip() in ('running', 'degraded'), 120, f'{self.name} booting')

    def enter(self):
        script = f'mkdir -p {self.cgroup}/visitors; echo $$ >{self.cgroup}/visitors/cgroup.procs; exec nsenter -t {self.pid} --all env -i {PATH} HOME=/root LANG=C.UTF-8 "$@"'
        return ['sh', '-c', script, 'sh']

    def up(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Power loss: first the cable is dead, so that no process can say good-bye, then all processes. What was written stays."""
        self.cut()
        with open(self.cgroup + '/cgroup.kill', 'w') as f:
            f.write('1')
        self.process.wait()

    def cut(self, *peers):
        self.change_cuts('add', peers)

    def uncut(self, *peers):
        self.change_cuts('delete', peers)

    def change_cuts(self, verb, peers):
        """Has the switch drop, or pass again, every frame between this host and some (default: all) others, without a word to either."""
        for p in peers or [h for h in HOSTS if h is not self]:
            for a, b in ((self.port, p.port), (p.port, self.port)):
                nft(verb, 'element', 'bridge', 'switch', 'cut', '{', a, '.', b, '}', check=False)  # fails where it is so already


def nft(*args, **options):
    return do('chroot', ROOT, 'nft', *args, **options)


HOSTS = []
CONTROLLERS = []


def build():
    """Makes the network and the hosts, and boots none. Returns the management host."""
    do('ip', 'link', 'set', 'lo', 'up')
    do('ip', 'link', 'add', 'switch', 'type', 'bridge')
    do('ip', 'link', 'set', 'switch', 'up')
    do('chroot', ROOT, 'nft', SWITCH)
    mgmt = Management()
    CONTROLLERS.extend(Controller(n) for n in (1, 2, 3))
    HOSTS.extend([mgmt, *CONTROLLERS])
    return mgmt


def boot():
    for c in CONTROLLERS:
        if not c.up():
            c.boot()
    for c in CONTROLLERS:
        c.await_boot()


def offer(directory, *debs):
    """Makes a directory with packages one that apt can install from."""
    for deb in debs:
        shutil.copy(deb, directory)
    with open(os.path.join(directory, 'Packages'), 'w') as index:
        for name in sorted(os.listdir(directory)):
            if name.endswith('.deb'):
                path = os.path.join(directory, name)
                digest = do('sha256sum', path).split()[0]
                index.write(f'{do("dpkg-deb", "-f", path).strip()}\nFilename: ./{name}\nSize: {os.path.getsize(path)}\nSHA256: {digest}\n\n')
