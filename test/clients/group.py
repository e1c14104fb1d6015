"""Three controllers on 127.0.0.1, .2 and .3 that are one store."""

import json
import os
import shutil
import signal
import tempfile
import urllib.error
import urllib.request

from harness import PEER, Server, build, free_ports, until

MEMBERS = 3
WHOLE_SECONDS = 30  # for a group to be whole again


class Controller:
    """One daemon of a group. Ports and data stay the same from one start() to the next."""

    def __init__(self, number, directory):
        self.name, self.host = f'c{number}', f'127.0.0.{number}'
        self.redis_port, self.memcached_port, self.admin_port, self.peer_port = free_ports(4, self.host)
        self.memcached = f'{self.host}:{self.memcached_port}'
        self.redis = self.host, self.redis_port
        self.directory = directory
        self.server = None

    def start(self, program, members):
        if self.server:
            return
        self.server = Server(os.path.join(self.directory, self.name + '.log'), [
            program, 'serve', '--name', self.name, '--data', os.path.join(self.directory, self.name),
            '--peer-listen', f'{self.host}:{self.peer_port}', '--members', members,
            '--redis-listen', f'{self.host}:{self.redis_port}', '--memcached-listen', self.memcached,
            '--admin-listen', f'{self.host}:{self.admin_port}'])

    def healthy(self):
        """It serves, and says that all members are there and have a vote: from then on any one may die."""
        try:
            with urllib.request.urlopen(f'http://{self.host}:{self.admin_port}/status', timeout=1) as r:
                return json.load(r)['verdict'] == 'healthy'
        except (urllib.error.URLError, OSError):
            return False

    def end(self, sig):
        if self.server:
            server, self.server = self.server, None
            return server.end(sig)
        return 0


class Group:
    """The three; a context. Against the originals, who are no group, nothing is started."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix='holdfast-group-')
        self.controllers = [Controller(i + 1, self.directory) for i in range(MEMBERS)]
        self.program = os.environ.get('HOLDFAST_BIN')

    @property
    def memcached(self):
        return [c.memcached for c in self.controllers]

    @property
    def redis(self):
        return [c.redis for c in self.controllers]

    def whole(self):
        """Starts who is down and returns when any one may die."""
        self.program = self.program or build(self.directory)
        for c in self.controllers:
            c.start(self.program, ','.join(f'{o.name}={o.host}:{o.peer_port}' for o in self.controllers))
        for c in self.controllers:
            c.server.await_ready(lambda: True)  # it has not ended
            until(c.healthy, WHOLE_SECONDS, f'{c.name}, whose log is {c.server.log}, being healthy')

    def kill(self, i):
        """kill -9 of one controller."""
        self.controllers[i].end(signal.SIGKILL)

    def drain(self, i):
        """SIGTERM, which must end well."""
        code = self.controllers[i].end(signal.SIGTERM)
        if code:
            raise AssertionError(f'{self.controllers[i].name}: exit code {code} after SIGTERM')

    def logs(self):
        return '\n'.join(f'--- {c.server.log}\n{c.server.tail()}' for c in self.controllers if c.server)

    def __enter__(self):
        if PEER.is_holdfast:
            try:
                self.whole()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_):
        for c in self.controllers:
            c.end(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)
