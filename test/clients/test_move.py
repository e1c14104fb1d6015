"""An operator's verbs against a group of three: the settings that they print work, and a dashboard moves over with nobody logged out."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import django
from django.conf import settings
from oslo_cache import core as oslo_cache
from oslo_config import cfg
from tooz import coordination

from group import Group
from harness import PEER, ClientTest, Server, free_ports, main, until

USERS, FOLLOW_SECONDS = 30, 15
RELEASE = 'zed' if django.VERSION < (4, 1) else '2025.1'  # which Debian has with this Django
settings.configure(SESSION_ENGINE='django.contrib.sessions.backends.cache', SECRET_KEY='test', USE_TZ=True, CACHES={
    'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'}})
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402
from django_redis.pool import ConnectionFactory  # noqa: E402

GROUP = Group()  # started by main()
for c in GROUP.controllers[1:]:  # as on controllers, where ports are the same and addresses differ
    c.redis_port, c.memcached_port = GROUP.controllers[0].redis_port, GROUP.controllers[0].memcached_port
    c.memcached, c.redis = f'{c.host}:{c.memcached_port}', (c.host, c.redis_port)


def admin(i):
    c = GROUP.controllers[i]
    return '--admin', f'{c.host}:{c.admin_port}'


def holdfast(*args, code=0):
    """What the program prints; it must end with code."""
    done = subprocess.run([GROUP.program, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=25, env=Server._environment())
    text = done.stdout.decode()
    if done.returncode != code:
        raise AssertionError(f'{args}: exit {done.returncode}, not {code}: {text}')
    return text


def listens(host, port):
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def cache_of(conf, factory='django_redis.pool.ConnectionFactory'):
    """A cache as Django makes it from an entry of CACHES; factory is a setting beside that."""
    conf = dict(conf)
    backend, location = conf.pop('BACKEND'), conf.pop('LOCATION')
    with override_settings(DJANGO_REDIS_CONNECTION_FACTORY=factory):
        cache = import_string(backend)(location, conf)
        cache.set('connects', cache.get('connects'))  # it connects
    ConnectionFactory._pools.clear()  # which are by URL for the whole process: here each controller's dashboard is one of its own
    return cache


def printed_cache(i, *args):
    """The cache that 'holdfast config horizon' prints for a controller."""
    scope = {}
    exec(holdfast('config', 'horizon', '--release', RELEASE, *admin(i), *args), scope)
    assert scope['SESSION_ENGINE'] == settings.SESSION_ENGINE
    return cache_of(scope['CACHES']['default'], scope.get('DJANGO_REDIS_CONNECTION_FACTORY'))


def session(cache, key=None):
    s = SessionStore(key)
    s._cache = cache
    return s


class User:
    """Somebody with a cookie, whose load balancer sends him to the same controller every time."""

    def __init__(self, name, controller):
        self.name, self.controller, self.pages = name, controller, 0
        self.key = None

    def log_in(self, caches):
        s = session(caches[self.controller])
        s['_auth_user_id'] = self.name
        s['pages'] = 0
        s.set_expiry(3600)
        s.create()
        self.key, self.pages = s.session_key, 0

    def look(self, caches, controller=None):
        """A page view, which saves the session as Horizon does; False if he is not logged in."""
        s = session(caches[self.controller if controller is None else controller], self.key)
        if s.get('_auth_user_id') != self.name or s['pages'] != self.pages:
            return False
        self.pages += 1
        s['pages'] = self.pages
        s.save()
        return True


class Old:
    """The servers that are left: one Redis, or memcached on each controller."""

    def __init__(self, protocol):
        self.directory = tempfile.TemporaryDirectory(prefix='holdfast-old-')
        hosts = ['127.0.0.1'] if protocol == 'redis' else [c.host for c in GROUP.controllers]
        self.servers, self.addresses = [], []
        for host in hosts:
            port, = free_ports(1, host)
            command = ['memcached', '-u', 'nobody', '-l', host, '-U', '0', '-p', str(port)]
            if protocol == 'redis':
                command = ['redis-server', '--save', '', '--bind', host, '--port', str(port), '--dir', self.directory.name]
            self.servers.append(Server(os.path.join(self.directory.name, f'{host}.log'), command))
            self.servers[-1].await_ready(lambda: listens(host, port))
            self.addresses.append(f'{host}:{port}')
        self.source = f'{protocol}://' + ','.join(self.addresses)
        if protocol == 'redis':
            self.conf = {'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': f'redis://{self.addresses[0]}/1'}
        else:
            self.conf = {'BACKEND': 'django.core.cache.backends.memcached.PyMemcacheCache', 'LOCATION': self.addresses}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.servers:
            s.end(signal.SIGKILL)
        self.servers = []
        self.directory.cleanup()


@unittest.skipUnless(PEER.is_holdfast, 'these are verbs of holdfast')
class OperatorTest(ClientTest):
    timeout = 60

    def move(self, protocol):
        """One controller's dashboard after the other goes from the old servers to the group, while users look at pages and log in."""
        holdfast('sessions', 'end', '--all', *admin(0))
        with Old(protocol) as old:
            before = cache_of(old.conf)
            caches = [before] * 3
            users = [User(f'user{n}', n % 3) for n in range(USERS)]
            for u in users:
                u.log_in(caches)
            with tempfile.TemporaryDirectory() as directory:
                follower = Server(os.path.join(directory, 'import.log'), [GROUP.program, 'import', old.source, *admin(0), '--follow', '100ms'])
                until(lambda: re.search(rf'^  sessions +{USERS}$', follower.tail(), re.M), FOLLOW_SECONDS, 'the first pass: ' + follower.log)
                for i in range(3):
                    late = User(f'late{i}', i)  # logs in and clicks while the old servers are in use, just before
                    late.log_in(caches)
                    users.append(late)
                    self.assertEqual([u.name for u in users if not u.look(caches)], [])
                    after = printed_cache(i, '--protocol', protocol)
                    until(lambda: self.copied(after, before, users, i), FOLLOW_SECONDS, 'the last page views being copied')
                    caches[i] = after
                    for _ in range(2):
                        self.assertEqual([u.name for u in users if not u.look(caches)], [], f'logged out when controller {i} moved')
                self.assertEqual(follower.end(signal.SIGINT), 0)
        for controller in range(3):  # the old servers are gone, and everybody may go everywhere
            self.assertEqual([u.name for u in users if not u.look(caches, controller)], [])
        listed = [json.loads(line) for line in holdfast('sessions', '-o', 'json', *admin(2)).splitlines()]
        self.assertEqual({s['user'] for s in listed}, {u.name for u in users})
        self.assertFalse(any(u.key in json.dumps(listed) for u in users))

    @staticmethod
    def copied(after, before, users, controller):
        """What the old servers have of the users of a controller, the group has."""
        mine = [u.key for u in users if u.controller == controller]
        return all(session(after, k).load() == session(before, k).load() != {} for k in mine)

    def test_move_from_redis(self):
        self.move('redis')

    def test_move_from_memcached(self):
        self.move('memcached')

    def test_end_sessions(self):
        cache = printed_cache(1)
        users = [User(self.unique('user'), 1) for _ in range(3)]
        for u in users:
            u.log_in([cache] * 3)
        listed = {s['user']: s['id'] for s in map(json.loads, holdfast('sessions', '-o', 'json', '--limit', '0', *admin(0)).splitlines())}
        holdfast('sessions', 'end', listed[users[0].name], *admin(2))
        self.assertEqual([u.look([cache] * 3) for u in users], [False, True, True])
        holdfast('sessions', 'end', users[1].key, *admin(1))
        holdfast('sessions', 'end', users[1].key, *admin(1), code=1)
        self.assertEqual([u.look([cache] * 3) for u in users], [False, False, True])
        holdfast('sessions', 'end', '--all', *admin(0))
        self.assertFalse(users[2].look([cache] * 3))

    def test_printed_coordination(self):
        url = re.search(r'^backend_url = (.*)$', holdfast('config', 'ceilometer', '--release', RELEASE, *admin(0)), re.M).group(1)
        agents = [coordination.get_coordinator(url, self.unique('agent').encode()) for _ in range(2)]
        group = self.unique('group').encode()
        for a in agents:
            a.start()
            a.join_group_create(group)
        lock = agents[0].get_lock(b'volume')
        self.assertTrue(lock.acquire())
        found = [g for g in map(json.loads, holdfast('groups', '-o', 'json', *admin(1)).splitlines()) if g['name'] == group.decode()]
        self.assertEqual({m['name'] for m in found[0]['members']}, {a._member_id.decode() for a in agents})
        self.assertTrue(all(m['last_heartbeat'] for m in found[0]['members']))
        held = [k for k in map(json.loads, holdfast('locks', '-o', 'json', *admin(2)).splitlines()) if k['name'] == 'volume']
        lock.release()
        self.assertTrue(lock.acquire())
        again = [k for k in map(json.loads, holdfast('locks', '-o', 'json', *admin(2)).splitlines()) if k['name'] == 'volume']
        self.assertGreater(again[0]['fencing'], held[0]['fencing'])
        for a in agents:
            a.stop()

    def test_printed_cache_of_keystone(self):
        for protocol in 'memcached', 'redis':
            with tempfile.NamedTemporaryFile('w', suffix='.conf') as f:
                f.write(holdfast('config', 'keystone', '--release', RELEASE, '--protocol', protocol, *admin(0)))
                f.flush()
                conf = cfg.ConfigOpts()
                oslo_cache.configure(conf)
                conf(['--config-file', f.name], project='test')
                region = oslo_cache.configure_cache_region(conf, oslo_cache.create_region())
                key = self.unique()
                region.set(key, {'user': 'x'})
                self.assertEqual(region.get(key), {'user': 'x'})
                one = protocol == 'redis' and RELEASE == 'zed'  # oslo.cache of that time knows no Sentinels
                said = holdfast('doctor', f.name, *admin(0), code=1 if one else 0)
                self.assertIn('cache-redis-one' if one else '0 errors, 0 warnings', said)


if __name__ == '__main__':
    main(GROUP)
