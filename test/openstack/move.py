"""A dashboard moves from memcached, or from Redis, to Holdfast, and nobody is logged out."""

import signal
import subprocess
import time

import horizon
import keystone
from world import ADMIN, CONTROLLERS, Holdfast, MariaDB, Memcached, Process, Redis, in_threads, say

REDIS_BESIDE, MEMCACHED_BESIDE = 6390, 11290  # ports of the group as long as the old servers have the usual ones


def move(servers, form, source, protocol):
    """Users log in while Horizon is on the old servers; import follows them; Horizon is stopped, its settings are changed, it is started."""
    with Holdfast(redis=REDIS_BESIDE, memcached=MEMCACHED_BESIDE) as group, keystone.Keystone(keystone.NO_CACHE, controllers=CONTROLLERS[:1]):
        users = [horizon.User(n) for n in horizon.names()]
        half = len(users) // 2
        with servers:
            with horizon.Horizon(form, servers):
                log_in = lambda some: sum(in_threads(len(some), lambda i: some[i].log_in()))
                before = log_in(users[:half])
                follower = Process('import', 'holdfast', 'import', source, '--admin', f'{CONTROLLERS[0]}:{ADMIN}', '--follow', '500ms')
                before += log_in(users[half:])  # while it runs
                looked = sum(u.look()[1] for u in users)
                users[0].open('/auth/logout/')
            time.sleep(2)  # the last changes are copied
            follower.stop(signal.SIGINT)
            with horizon.Horizon(horizon.PRINTED + protocol, group):
                still = sum(u.look()[1] for u in users[1:])
                back = users[0].look()[1]
        with horizon.Horizon(horizon.PRINTED + protocol, group):  # the old servers are gone
            later = sum(u.look()[1] for u in users[1:])
            again = users[0].log_in()
    return {'from': source, 'logged in before': before, 'seen before': looked, 'logged out before': 1, 'logged in after': still,
            'logged in without the old servers': later, 'the logged-out one is back': back, 'can log in': again, 'import said': follower.tail()[-600:]}


def part():
    rows = []
    memcached = ','.join(f'{ip}:11211' for ip in CONTROLLERS)
    with MariaDB():
        keystone.bootstrap()
        with keystone.Keystone(keystone.NO_CACHE, controllers=CONTROLLERS[:1]):
            horizon.make_users()
        horizon.prepare()
        for servers, form, source, protocol in [(Memcached(), 'PyMemcacheCache', 'memcached://' + memcached, ', --protocol memcached'),
                                                (Redis(), 'django-redis, redis://', f'redis://{CONTROLLERS[0]}:6379', '')]:
            rows.append(move(servers, form, source, protocol))
            say('  ', rows[-1])
    return rows
