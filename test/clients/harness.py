"""Starts the servers under test and runs one file of client tests against them.

A test file makes no server of its own: it reads the ports from PEER, derives its
cases from ClientTest and ends with main(). Every file runs in a process of its
own with a fresh server (see run), so files share no state; tests of one file do
share the server and keep apart by unique() names.

HOLDFAST_PEER=originals puts redis-server and memcached in Holdfast's place: a
test that fails there is wrong, or states a difference by design (is_holdfast).
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest
import urllib.error
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOST = '127.0.0.1'
ORIGINALS = 'originals'
PORTS = 12000, 32000
START_SECONDS = 20  # to wait for a server to be ready
STOP_SECONDS = 10  # between SIGTERM and giving up on a clean stop
LOG_BYTES = 20000  # of each server's log, shown after a failure
ALARM_AGAIN_SECONDS = 2  # a client may swallow the first alarm of a test
EXPIRED_MAX = 3  # tests that run out of time before their file is given up
PR_SET_PDEATHSIG = 1


def build(directory):
    """Builds cmd/holdfast into directory and returns the program's path."""
    program = os.path.join(directory, 'holdfast')
    subprocess.run(['go', 'build', '-o', program, './cmd/holdfast'], cwd=ROOT, check=True)
    return program


def die_with_parent():
    """For preexec_fn: the child is killed when the thread that started it is gone, however that came about."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(n, host=HOST):
    """Returns n TCP ports of a loopback address that nobody listens on, all different.

    They lie below the ports that the kernel gives to outgoing connections, or a client could have taken one before the
    server starts, or while it is down.
    """
    ports = []
    while len(ports) < n:
        port = random.randrange(*PORTS)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
            if port not in ports:
                ports.append(port)
    return ports


def until(condition, seconds=5, what='the condition'):
    """Polls condition until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'{what} did not come about within {seconds} s')
        time.sleep(0.005)


def in_threads(n, work, seconds=25):
    """Runs work(0) ... work(n-1) at the same time; returns their results or raises the first error."""
    results, errors = [None] * n, []

    def one(i):
        try:
            results[i] = work(i)
        except BaseException as e:  # handed to the caller below
            errors.append(e)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    end = time.monotonic() + seconds
    for t in threads:
        t.join(max(0, end - time.monotonic()))
    if errors:
        raise errors[0]
    if any(t.is_alive() for t in threads):
        raise AssertionError(f'threads still run after {seconds} s')
    return results


def output(*command, stdin=None, seconds=25, check=True):
    """Runs command; returns what it printed, error output among it; raises if it hangs or (unless check is off) fails."""
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds)
    text = done.stdout.decode(errors='replace')
    if check and done.returncode != 0:
        raise AssertionError(f'{" ".join(command)}: exit {done.returncode}: {text[-2000:]}')
    return text


class Server:
    """One server process with its log. Not safe for concurrent use."""

    def __init__(self, log, command):
        self.log = log
        with open(log, 'ab') as sink:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                                            env=self._environment(), preexec_fn=die_with_parent)

    @staticmethod
    def _environment():
        # Variables that begin so are settings to the daemon, those of the tests would be unknown ones.
        return {k: v for k, v in os.environ.items() if not k.startswith('HOLDFAST_')}

    def await_ready(self, ready):
        def check():
            if self.process.poll() is not None:
                raise AssertionError(f'{self.process.args[0]} exited with {self.process.returncode}:\n{self.tail()}')
            return ready()
        until(check, START_SECONDS, f'{self.process.args[0]} being ready')

    def end(self, sig):
        self.process.send_signal(sig)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f'{self.process.args[0]} ignored signal {sig} for {STOP_SECONDS} s') from None

    def tail(self):
        with open(self.log, 'rb') as f:
            return f.read()[-LOG_BYTES:].decode(errors='replace')


class Peer:
    """What the clients talk to: one holdfast, or one redis-server and one memcached.

    The ports are fixed from the beginning, the data directory is kept from one start() to the
    next; close() removes it. A password, if given, is asked for on the Redis port; a login, which is
    a name and a password, on the memcached port of a holdfast.
    """

    def __init__(self, password=None, login=None):
        self.redis_port, self.memcached_port, self.admin_port = free_ports(3)
        self.password = password
        self.login = login
        self.is_holdfast = os.environ.get('HOLDFAST_PEER', 'holdfast') != ORIGINALS
        self.memcached = f'{HOST}:{self.memcached_port}'
        self.directory = None
        self.servers = []

    def redis_url(self, db=0):
        return f'redis://{HOST}:{self.redis_port}/{db}'

    def start(self):
        if self.directory is None:
            self.directory = tempfile.mkdtemp(prefix='holdfast-clients-')
            os.chmod(self.directory, 0o755)
        if self.is_holdfast:
            self._start_holdfast()
        else:
            self._start_originals()

    def _start_holdfast(self):
        program = os.environ.get('HOLDFAST_BIN') or build(self.directory)
        command = [program, 'serve',
                   '--redis-listen', f'{HOST}:{self.redis_port}',
                   '--memcached-listen', self.memcached,
                   '--admin-listen', f'{HOST}:{self.admin_port}',
                   '--data', os.path.join(self.directory, 'data')]
        if self.password:
            secret = os.path.join(self.directory, 'password')
            with open(secret, 'w') as f:
                f.write(self.password + '\n')
            command += ['--redis-password-file', secret]
        if self.login:
            users = os.path.join(self.directory, 'users')
            with open(users, 'w') as f:
                f.write(':'.join(self.login) + '\n')
            command += ['--memcached-auth-file', users]
        self._launch('holdfast', command, self._ready_to_write)

    def _start_originals(self):
        redis = ['redis-server', '--save', '', '--bind', HOST, '--port', str(self.redis_port),
                 '--dir', self.directory]
        if self.password:
            redis += ['--requirepass', self.password]
        self._launch('redis', redis, lambda: self._accepts(self.redis_port))
        memcached = ['memcached', '-u', 'nobody', '-l', HOST, '-U', '0', '-p', str(self.memcached_port)]
        self._launch('memcached', memcached, lambda: self._accepts(self.memcached_port))

    def _launch(self, name, command, ready):
        server = Server(os.path.join(self.directory, name + '.log'), command)
        self.servers.append(server)
        server.await_ready(ready)

    def _ready_to_write(self):
        try:
            with urllib.request.urlopen(f'http://{HOST}:{self.admin_port}/readyz?mode=write', timeout=1) as r:
                return r.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @staticmethod
    def _accepts(port):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return True
        return False

    def stop(self, sig=signal.SIGTERM):
        """Ends the servers; after SIGTERM they must exit with 0."""
        servers, self.servers = self.servers, []
        codes = [s.end(sig) for s in servers]
        if sig == signal.SIGTERM and any(codes):
            raise AssertionError(f'exit codes after SIGTERM: {codes}')

    def crash(self):
        """kill -9 and start again on the same data."""
        self.stop(signal.SIGKILL)
        self.start()

    def close(self, sig=signal.SIGTERM):
        try:
            self.stop(sig)
        finally:
            if self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)
                self.directory = None

    def logs(self):
        return '\n'.join(f'--- {s.log}\n{s.tail()}' for s in self.servers)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_):
        self.close()


PEER = Peer()  # started by main()


class Expired(BaseException):
    """A test's time is over. Not an Exception: clients swallow those."""


class ClientTest(unittest.TestCase):
    timeout = 30  # seconds for one test, setUp and tearDown included

    def run(self, result=None):
        def alarm(*_):
            raise Expired(f'{self.id()} took longer than {self.timeout} s')
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, self.timeout, ALARM_AGAIN_SECONDS)
        try:
            return super().run(result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def unique(name='k'):
        return f'{name}-{uuid.uuid4().hex}'


class _Report(unittest.TestResult):
    """One line a test: "ok|FAIL|skip file.Class.test seconds", a failure's details indented below it."""

    def __init__(self):
        super().__init__()
        self.expired = 0
        self.file = os.path.splitext(os.path.basename(sys.argv[0]))[0]

    def startTest(self, test):
        super().startTest(test)
        self.failed, self.began = False, time.monotonic()

    def _line(self, word, test, details=''):
        name = test.id().replace('__main__', self.file).replace(' ', '_')
        print(f'{word:4} {name} {time.monotonic() - getattr(self, "began", time.monotonic()):.2f}s', flush=True)
        for line in details.splitlines():
            print('     ' + line, flush=True)

    def addSuccess(self, test):
        if not self.failed:
            self._line('ok', test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line('skip', test, reason)

    def _failure(self, add, test, err):
        add(test, err)
        if not getattr(self, 'failed', False):
            self._line('FAIL', test, ''.join(traceback.format_exception(*err)))
        self.failed = True
        self.expired += issubclass(err[0], Expired)
        if self.expired == EXPIRED_MAX:
            print(f'     {EXPIRED_MAX} tests ran out of time: the rest of the file is not run', flush=True)
            self.stop()

    def addFailure(self, test, err):
        self._failure(super().addFailure, test, err)

    def addError(self, test, err):
        self._failure(super().addError, test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._failure(super().addError, subtest, err)


def main(peer=None):
    """Runs the tests of the calling file, or those whose names contain an argument, against PEER or another context."""
    peer = peer or PEER
    module = sys.modules['__main__']
    suite = unittest.TestSuite()
    for case in unittest.defaultTestLoader.loadTestsFromModule(module):
        for test in case:
            if not sys.argv[1:] or any(word in test.id() for word in sys.argv[1:]):
                suite.addTest(test)
    report = _Report()
    with peer:
        suite.run(report)
        if not report.wasSuccessful():
            print('\n'.join('     ' + line for line in peer.logs().splitlines()), flush=True)
    sys.exit(0 if report.wasSuccessful() else 1)
