"""Processes, and the servers that keep state: a group of holdfast, and what is used today in its place.

Every server stands at the address that operators give it: controller i is 127.0.0.i, with Redis on 6379 and memcached on 11211. The
network is this run's own (see run), so nothing else is there.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

CONTROLLERS = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
REDIS, MEMCACHED, SENTINEL, ADMIN, PEER = 6379, 11211, 26379, 8630, 7420
STATE = '/srv/state'  # on disk, gone with the run
LOGS = '/srv/logs'
START_SECONDS = 180  # a service of OpenStack takes 10 s of processor time to start, and others may want the processor too
STOP_SECONDS = 30
RESTART = 0.1  # seconds until a service manager has started a daemon again: systemd's default, and packaging/holdfast.service's


with open('/etc/os-release') as f:
    SUITE = next(line.split('=')[1].strip() for line in f if line.startswith('VERSION_CODENAME'))
RELEASE = {'bookworm': 'zed', 'trixie': 'epoxy'}[SUITE]  # OpenStack's, that this Debian has
OUT = f'/srv/holdfast/test/openstack/out/{SUITE}'
QUICK = bool(os.environ.get('QUICK'))
ONLY = ''  # what the names of forms must have in them


def few(n):
    """A count that a quick run makes smaller: it is a look at whether all works, and no measurement."""
    return max(1, n // 6) if QUICK else n


def say(*words):
    print(time.strftime('%H:%M:%S'), *words, flush=True)


def chosen(names):
    return [n for n in names if ONLY in n]


def until(condition, seconds, what):
    """Polls condition until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise SystemExit(f'{what} did not come about within {seconds} s')
        time.sleep(0.02)


def in_threads(n, work):
    """Runs work(0) ... work(n-1) at the same time; returns their results or raises the first error."""
    results, errors = [None] * n, []

    def one(i):
        try:
            results[i] = work(i)
        except BaseException as e:  # raised again below
            errors.append(e)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


class Process:
    """A process with its log. Its children are in its process group and are killed with it."""

    def __init__(self, name, *command, env=None, cwd='/', user=None, **more):
        os.makedirs(LOGS, exist_ok=True)
        self.name, self.log = name, os.path.join(LOGS, name + '.log')
        with open(self.log, 'ab') as sink:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=cwd, user=user,
                                            env={**os.environ, **(env or {})}, start_new_session=True, **more)

    def running(self):
        return self.process.poll() is None

    def await_(self, ready):
        def check():
            if not self.running():
                raise SystemExit(f'{self.name} exited with {self.process.returncode}:\n{self.tail()}')
            return ready()
        until(check, START_SECONDS, f'{self.name}, whose log ends with\n{self.tail()}\nbeing ready')
        return self

    def tail(self):
        with open(self.log, errors='replace') as f:
            return f.read()[-4000:]

    def kill(self):
        """kill -9, of the children too. Returns when all are gone, and with them what they listened on."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(ChildProcessError):  # orphans are this process's children: it is the first of its tree
            while True:
                os.waitpid(-self.process.pid, 0)

    def stop(self, sig=signal.SIGTERM):
        if self.running():
            self.process.send_signal(sig)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


def accepts(host, port):
    with socket.socket() as s:
        return s.connect_ex((host, port)) == 0


def listening(host, port):
    """A socket whose descriptor is none of the first ten: those are for passing on."""
    with socket.create_server((host, port), backlog=4096) as s:
        return socket.socket(fileno=fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 10))


def directory(name, user='root'):
    path = os.path.join(STATE, name)
    os.makedirs(path, exist_ok=True)
    os.chmod(STATE, 0o755)
    shutil.chown(path, user)
    return path


def http_json(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as r:
            return json.load(r)
    except OSError:
        return {}


def printed(service, i, *flags):
    """What holdfast config says that a service on controller i should have, for the group that runs."""
    return subprocess.run(['holdfast', 'config', service, '--release', RELEASE, '--admin', f'{CONTROLLERS[i]}:{ADMIN}', *flags],
                          check=True, capture_output=True, text=True).stdout


class Servers:
    """Some servers, of which single ones can be killed. A context: the end stops all."""

    def __init__(self):
        self.processes = {}  # by number of the controller
        self.returns = []  # timers that start a server again

    def __enter__(self):
        for i in self.numbers:
            self.start(i)
        self.await_whole()
        return self

    def __exit__(self, *_):
        self.await_returns()
        for p in self.processes.values():
            p.kill()

    def await_whole(self):
        pass

    def kill(self, i):
        self.processes[i].kill()

    def crash(self, i):
        """kill -9 of a server that its service manager starts again."""
        self.processes[i].kill()
        self.come_back(i, RESTART)

    def kill_for_a_while(self, i, seconds):
        """kill -9 of a server that somebody starts again."""
        self.kill(i)
        self.come_back(i, seconds)

    def come_back(self, i, seconds):
        self.returns.append(threading.Timer(seconds, self.start, [i]))
        self.returns[-1].start()

    def await_returns(self):
        while self.returns:
            self.returns.pop().join()

    def mend(self):
        """Starts who is down."""
        self.await_returns()
        for i, p in self.processes.items():
            if not p.running():
                self.start(i)
        self.await_whole()

    def redis(self, i):
        """The address that a service on controller i has in its configuration: the one beside it, where there is one."""
        return f'{CONTROLLERS[i]}:{REDIS}'

    def memcached(self):
        """The list that every service has."""
        return [f'{CONTROLLERS[i]}:{MEMCACHED}' for i in self.numbers]


class Holdfast(Servers):
    """A group of one or three. Other ports let it stand beside what it replaces. Its clients' ports are kept open while its service manager starts
    a member again, as systemd does by packaging/holdfast.service, and are closed by kill."""

    def __init__(self, members=3, redis=REDIS, memcached=MEMCACHED):
        super().__init__()
        self.redis_port, self.memcached_port = redis, memcached
        self.kept = {}  # listening sockets by number of the controller
        self.numbers = range(members)
        self.title = f'Holdfast, {members}' if members > 1 else 'Holdfast, one'
        for i in self.numbers:
            shutil.rmtree(os.path.join(STATE, f'holdfast{i}'), ignore_errors=True)

    def start(self, i):
        ip = CONTROLLERS[i]
        command = ['holdfast', 'serve', '--data', os.path.join(directory(f'holdfast{i}'), 'data'), '--redis-listen', f'{ip}:{self.redis_port}',
                   '--memcached-listen', f'{ip}:{self.memcached_port}', '--admin-listen', f'{ip}:{ADMIN}']
        if len(self.numbers) > 1:
            members = ','.join(f'c{j + 1}={CONTROLLERS[j]}:{PEER}' for j in self.numbers)
            command += ['--name', f'c{i + 1}', '--peer-listen', f'{ip}:{PEER}', '--members', members]
        if i not in self.kept:
            self.kept[i] = [listening(ip, self.redis_port), listening(ip, self.memcached_port)]
        first = 3  # descriptor, as systemd passes them: sd_listen_fds(3)
        passed = range(first, first + len(self.kept[i]))
        self.processes[i] = Process(f'holdfast{i + 1}', 'sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', *command,
                                    env={'LISTEN_FDS': str(len(passed)), 'LISTEN_FDNAMES': ':'.join('holdfast kept' for _ in passed)}, pass_fds=passed,
                                    preexec_fn=lambda: [os.dup2(s.fileno(), fd) for s, fd in zip(self.kept[i], passed)])

    def kill(self, i):
        super().kill(i)
        for s in self.kept.pop(i):
            s.close()

    def __exit__(self, *_):
        super().__exit__()
        for i in list(self.kept):
            self.kill(i)

    def status(self, i):
        return http_json(f'http://{CONTROLLERS[i]}:{ADMIN}/status')

    def await_whole(self):
        """Every member says that all are there and have a vote: from then on any one may die."""
        for i in self.numbers:
            self.processes[i].await_(lambda: self.status(i).get('verdict') == 'healthy')

    def leader(self):
        return until(lambda: [i + 1 for i in self.numbers if self.status(i).get('role') == 'leader'], 10, 'a leader')[0] - 1

    def lead(self, i):
        """Makes member i the leader, by draining whoever is it in its place."""
        for _ in range(10):
            at = self.leader()
            if at == i:
                return
            self.processes[at].stop()
            self.start(at)
            self.await_whole()
        raise SystemExit(f'c{i + 1} did not become the leader in ten hand-overs')

class Memcached(Servers):
    def __init__(self, servers=3, megabytes=64):
        super().__init__()
        self.numbers, self.megabytes = range(servers), megabytes
        self.title = f'memcached, {servers}' if servers > 1 else 'memcached, one'

    def start(self, i):
        ip = CONTROLLERS[i]
        p = Process(f'memcached{i + 1}', 'memcached', '-u', 'memcache', '-l', ip, '-p', str(MEMCACHED), '-U', '0', '-m', str(self.megabytes), '-c', '4096')
        self.processes[i] = p.await_(lambda: accepts(ip, MEMCACHED))


class Redis(Servers):
    """One redis-server, or, with sentinels, a primary with two replicas and three Sentinels, as kolla-ansible sets them up."""

    def __init__(self, sentinels=False):
        super().__init__()
        self.sentinels = sentinels
        self.numbers = range(3 if sentinels else 1)
        self.title = 'Redis + Sentinel, 3' if sentinels else 'Redis, one'
        self.watchers = []
        for i in self.numbers:
            shutil.rmtree(os.path.join(STATE, f'redis{i}'), ignore_errors=True)

    def start(self, i):
        ip = CONTROLLERS[i]
        command = ['redis-server', '--bind', ip, '--port', str(REDIS), '--dir', directory(f'redis{i}'), '--save', '', '--appendonly', 'yes',
                   '--replica-announce-ip', ip]  # to the others every address of loopback is 127.0.0.1
        if i > 0:
            command += ['--replicaof', CONTROLLERS[0], str(REDIS)]
        self.processes[i] = Process(f'redis{i + 1}', *command).await_(lambda: accepts(ip, REDIS))

    def await_whole(self):
        if not self.sentinels:
            return
        until(lambda: redis_command(CONTROLLERS[0], 'INFO', 'replication').count(b'state=online') == 2, 60, 'two replicas')
        for i in self.numbers:
            conf = os.path.join(directory(f'redis{i}'), 'sentinel.conf')
            with open(conf, 'w') as f:
                f.write(f'bind {CONTROLLERS[i]}\nport {SENTINEL}\nsentinel announce-ip {CONTROLLERS[i]}\nsentinel monitor kolla {CONTROLLERS[0]} {REDIS} 2\n'
                        'sentinel down-after-milliseconds kolla 5000\nsentinel failover-timeout kolla 60000\nsentinel parallel-syncs kolla 1\n')
            self.watchers.append(Process(f'sentinel{i + 1}', 'redis-sentinel', conf))
        for i in self.numbers:
            until(lambda: b'slaves=2,sentinels=3' in redis_command(CONTROLLERS[i], 'INFO', 'sentinel', port=SENTINEL), 60, 'three Sentinels that see all')

    def redis(self, i):
        return f'{CONTROLLERS[0]}:{REDIS}'

    def sentinel_addresses(self):
        return [(CONTROLLERS[i], SENTINEL) for i in self.numbers]

    def kill(self, i):
        """A controller dies: the Sentinel on it too."""
        super().kill(i)
        if self.sentinels:
            self.watchers[i].kill()

    def __exit__(self, *_):
        super().__exit__()
        for p in self.watchers:
            p.kill()


def redis_command(host, *words, port=REDIS):
    """One command by hand, the raw reply; empty where nobody answers."""
    try:
        with socket.create_connection((host, port), 2) as s:
            s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w.encode()), w.encode()) for w in words))
            return s.recv(1 << 16)
    except OSError:
        return b''


class MariaDB(Servers):
    """Keystone's database, and the one of Django's sessions of that kind."""
    numbers, title = range(1), 'MariaDB'

    def start(self, i):
        data = directory('mysql', 'mysql')
        directory('mysqld-run', 'mysql')
        if not os.path.exists(os.path.join(data, 'mysql')):
            subprocess.run(['mariadb-install-db', '--user=mysql', f'--datadir={data}', '--skip-test-db'], check=True, capture_output=True)
        self.processes[i] = Process('mariadb', 'mariadbd', '--no-defaults', '--user=mysql', f'--datadir={data}', '--bind-address=127.0.0.1',
                                    '--port=3306', f'--socket={STATE}/mysqld-run/sock', '--innodb-buffer-pool-size=256M', '--max-connections=400')
        self.processes[i].await_(lambda: self.ask('select 1') is not None)
        self.ask("create database if not exists keystone character set utf8; create database if not exists horizon character set utf8;"
                 "create user if not exists 'os'@'127.0.0.1' identified by 'os'; create user if not exists 'os'@'localhost' identified by 'os';"
                 "grant all on *.* to 'os'@'127.0.0.1'; grant all on *.* to 'os'@'localhost'")

    @staticmethod
    def ask(statement):
        """What the client prints for a statement, None if it fails."""
        done = subprocess.run(['mariadb', '-N', f'--socket={STATE}/mysqld-run/sock', '-e', statement], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def __exit__(self, *_):
        for p in self.processes.values():
            p.stop()
