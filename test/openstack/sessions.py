"""Side by side: what keeps Django's sessions, and what becomes of them when a server dies."""

import json
import os
import subprocess
import threading
import time

import world
from world import Holdfast, MariaDB, Memcached, Redis, Servers, say

SESSIONS = 300
TIMED = 400  # loads and saves
AWAY = 10  # seconds between the death of a server and its start: Sentinel acts after 5
HERE = os.path.dirname(os.path.abspath(__file__))


class Nothing(Servers):
    """Local memory needs no server: the process itself is what dies."""
    numbers = range(0)


def django(backend, location, options=None, engine='cache', **more):
    cache = {'BACKEND': backend, 'LOCATION': location, **({'OPTIONS': options} if options else {})}
    return {'caches': {'default': cache}, 'engine': 'django.contrib.sessions.backends.' + engine, 'more': more}


def django_redis(servers):
    return django('django_redis.cache.RedisCache', f'redis://{servers.redis(0)}/1')


def django_sentinel(servers):
    return django('django_redis.cache.RedisCache', 'redis://kolla/1',
                  {'CLIENT_CLASS': 'django_redis.client.SentinelClient', 'SENTINELS': servers.sentinel_addresses(),
                   'CONNECTION_POOL_KWARGS': {'socket_timeout': 1, 'socket_connect_timeout': 1}},
                  DJANGO_REDIS_CONNECTION_FACTORY='django_redis.pool.SentinelConnectionFactory')


def printed(*flags):
    """What holdfast config says, for the worker to read as Horizon does: there may be objects in it."""
    return {'engine': 'django.contrib.sessions.backends.cache', 'source': world.printed('horizon', 0, *flags)}


def pymemcache(servers, engine='cache'):
    return django('django.core.cache.backends.memcached.PyMemcacheCache', servers.memcached(), engine=engine)


LOCAL = 'django.core.cache.backends.locmem.LocMemCache'

# What keeps the sessions, the servers, Django's settings, which server dies.
ROWS = [
    ('local memory', Nothing, lambda s: django(LOCAL, 'x'), None),
    ('memcached, one', lambda: Memcached(1), pymemcache, 0),
    ('memcached, three', Memcached, pymemcache, 1),
    ('Redis', Redis, django_redis, 0),
    ('Redis + Sentinel, three', lambda: Redis(sentinels=True), django_sentinel, 0),
    ('MariaDB', MariaDB, lambda s: django(LOCAL, 'x', engine='db'), 0),
    ('cached_db: memcached, three, and MariaDB; a memcached dies', Memcached, lambda s: pymemcache(s, 'cached_db'), 1),
    ('Holdfast, one', lambda: Holdfast(1), django_redis, 0),
    ('Holdfast, three, django-redis with one address; another member dies, which leads', Holdfast, django_redis, 1),
    ('Holdfast, three, as holdfast config prints it; the member that is asked dies, which leads', Holdfast, lambda s: printed(), 0),
    ('Holdfast, three, PyMemcacheCache as Django has it', Holdfast, pymemcache, 1),
    ('Holdfast, three, as holdfast config --protocol memcached prints it', Holdfast, lambda s: printed('--protocol', 'memcached'), 1),
]


class Worker:
    """A process of session_worker.py."""

    def __init__(self, settings):
        self.process = subprocess.Popen(['python3', os.path.join(HERE, 'session_worker.py'), json.dumps(settings)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __call__(self, *words):
        self.process.stdin.write(json.dumps(words) + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f'the worker ended at {words[0]}')
        return json.loads(answer)

    def kill(self):
        self.process.kill()
        self.process.wait()


def row_of(title, servers, settings, victim):
    here, other = Worker(settings), Worker(settings)
    if 'db' in settings['engine']:
        here('prepare')
    if isinstance(servers, Holdfast) and len(servers.numbers) > 1:
        servers.lead(victim)
    load, save = here('time', TIMED)
    keys = here('make', SESSIONS)
    row = {'title': title, 'load': round(load), 'save': round(save), 'shared': set(other('look', keys)) == {'there'}}
    began = time.monotonic()
    if victim is None:
        here.kill()
        here = Worker(settings)
        row.update({'thrown out': SESSIONS, 'errors': 0, 'log-ins after': here('log_in') and round(time.monotonic() - began, 2)})
    else:
        servers.kill_for_a_while(victim, AWAY)
        log_ins = threading.Thread(target=lambda: row.update({'log-ins after': log_ins_again(other, began)}))
        log_ins.start()
        # A session that is not there once is a user at the form: Django takes the cookie away.
        seen = {'there': set(), 'gone': set(), 'error': set()}
        while time.monotonic() - began < AWAY + 5:
            for key, state in zip(keys, here('look', keys)):
                seen[state].add(key)
        row.update({'thrown out': len(seen['gone']), 'errors': len(seen['error'])})
        log_ins.join()
    row['gone for good'] = sum(s != 'there' for s in here('look', keys))
    here.kill()
    other.kill()
    return row


def log_ins_again(worker, began):
    """After how many seconds log-ins work and go on to: those until the one after the last that failed; if none fails, the longest that
    one took. None: they fail to the end."""
    again, longest, failed = None, 0, False
    while time.monotonic() - began < AWAY + 5:
        asked = time.monotonic()
        if not worker('log_in'):
            again, failed = None, True
        elif again is None:
            again = time.monotonic() - began
        longest = max(longest, time.monotonic() - asked)
        time.sleep(0.01)
    return again and round(again if failed else longest, 2)


def part():
    rows = []
    with MariaDB() as database:
        for title, make, settings, victim in [r for r in ROWS if world.ONLY in r[0]]:
            servers = database if make is MariaDB else make()
            if servers is database:
                rows.append(row_of(title, servers, settings(servers), victim))
            else:
                with servers:
                    rows.append(row_of(title, servers, settings(servers), victim))
            say('  ', rows[-1])
    return rows
