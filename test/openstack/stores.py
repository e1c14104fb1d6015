"""The side by side: what keeps Django's sessions, and tokens, and what becomes of them when a server dies or an hour passes."""

import json
import os
import socket
import subprocess
import threading
import time

import redis

import world
from world import CONTROLLERS, MEMCACHED, REDIS, Holdfast, MariaDB, Memcached, Redis, Servers, say

SESSIONS = 300
TIMED = 400  # loads and saves
AWAY = 10  # seconds between the death of a server and its start: Sentinel acts after 5
HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = world.few(100_000) // 1000 * 1000
TOKEN_BYTES = 2048
EXPIRY = 60  # seconds; stands for the hour


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


def printed(servers, *flags, retry=False):
    """What holdfast config says."""
    said = {}
    exec(world.printed('horizon', 0, *flags), said)
    known = {'SESSION_ENGINE', 'CACHES'}
    return {'caches': said['CACHES'], 'engine': said['SESSION_ENGINE'], 'retry': retry,
            'more': {k: v for k, v in said.items() if k.isupper() and k not in known}}


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
    ('Holdfast, three, as holdfast config prints it; the member that is asked dies, which leads', Holdfast, printed, 0),
    ('Holdfast, three, the same, and a retry', Holdfast, lambda s: printed(s, retry=True), 0),
    ('Holdfast, three, PyMemcacheCache as Django has it', Holdfast, pymemcache, 1),
    ('Holdfast, three, as holdfast config --protocol memcached prints it', Holdfast, lambda s: printed(s, '--protocol', 'memcached'), 1),
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


def sessions_row(title, servers, settings, victim):
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
        log_ins = threading.Thread(target=lambda: row.update({'log-ins after': first_of_the_lasting(other, began)}))
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


def first_of_the_lasting(worker, began):
    """Seconds from began to the log-in after which none failed any more, None if they still fail."""
    since = None
    while time.monotonic() - began < AWAY + 5:
        if not worker('log_in'):
            since = None
        elif since is None:
            since = round(time.monotonic() - began, 2)
        time.sleep(0.01)
    return since


def sessions():
    rows = []
    with MariaDB() as database:
        for title, make, settings, victim in ROWS:
            servers = database if make is MariaDB else make()
            if servers is database:
                rows.append(sessions_row(title, servers, settings(servers), victim))
            else:
                with servers:
                    rows.append(sessions_row(title, servers, settings(servers), victim))
            say('  ', rows[-1])
    return rows


# Tokens as the drivers keep them that store tokens: MariaDB's table has the columns that Keystone's sql driver made until Newton.
def token(i):
    return f'{i:032x}', (f'{i:032x}' + 'x' * TOKEN_BYTES)[:TOKEN_BYTES]


def pipelined(r, expiry):
    for start in range(0, TOKENS, 1000):
        p = r.pipeline(transaction=False)
        for i in range(start, start + 1000):
            key, value = token(i)
            p.set(key, value, ex=expiry)
        p.execute()


def in_redis(expiry):
    def write():
        pipelined(redis.Redis(CONTROLLERS[0], REDIS, db=2), expiry)
    return write


def in_memcached():
    with socket.create_connection((CONTROLLERS[0], MEMCACHED)) as s:
        for start in range(0, TOKENS, 1000):
            s.sendall(b''.join(f'set {k} 0 {EXPIRY} {len(v)} noreply\r\n{v}\r\n'.encode() for k, v in map(token, range(start, start + 1000))))
        s.sendall(b'version\r\n')
        s.recv(100)


def in_mariadb():
    MariaDB.ask('create table keystone.token (id varchar(64) primary key, expires datetime, extra text, valid tinyint not null, user_id varchar(64),'
                ' trust_id varchar(64), key ix_expires (expires), key ix_expires_valid (expires, valid), key ix_user (user_id), key ix_trust (trust_id))')
    import pymysql
    with pymysql.connect(host='127.0.0.1', user='os', password='os', database='keystone') as c:
        for start in range(0, TOKENS, 1000):
            c.cursor().executemany('insert into token values (%s, utc_timestamp() + interval %s second, %s, 1, %s, null)',
                                   [(*token(i)[:1], EXPIRY, token(i)[1], f'{i % 30:032x}') for i in range(start, start + 1000)])
            c.commit()


def memory_of(servers, i=0):
    with open(f'/proc/{servers.processes[i].process.pid}/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmRSS')) // 1024


def bytes_under(path):
    return sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(path) for f in files) >> 20


def redis_keys(_):
    return redis.Redis(CONTROLLERS[0], REDIS, db=2).dbsize()


def memcached_keys(_):
    with socket.create_connection((CONTROLLERS[0], MEMCACHED)) as s:
        s.sendall(b'lru_crawler metadump all\r\n')
        f, n, now = s.makefile('rb'), 0, time.time()
        for line in f:
            if not line.startswith(b'key='):
                return n
            n += int(line.split(b'exp=')[1].split()[0]) > now


def mariadb_rows(_):
    return int(MariaDB.ask('select count(*) from keystone.token'))


STORES = [
    ('MariaDB, a table of tokens', MariaDB, in_mariadb, mariadb_rows, '/srv/state/mysql/keystone'),
    ('memcached, 64 MiB', lambda: Memcached(1), in_memcached, memcached_keys, None),
    ('Redis', Redis, in_redis(EXPIRY), redis_keys, '/srv/state/redis0'),
    ('Redis, no deadline', Redis, in_redis(None), redis_keys, '/srv/state/redis0'),
    ('Holdfast, three', Holdfast, in_redis(EXPIRY), redis_keys, '/srv/state/holdfast0'),
    ('Holdfast, three, no deadline', Holdfast, in_redis(None), redis_keys, '/srv/state/holdfast0'),
]


def tokens():
    rows = []
    for title, make, write, count, directory in STORES:
        with make() as servers:
            row = {'title': title, 'at first': figures(servers, count, directory) if make is not MariaDB else None}
            began = time.monotonic()
            write()
            row['seconds'] = round(time.monotonic() - began, 1)
            row['written'] = figures(servers, count, directory)
            time.sleep(max(0, EXPIRY + 15 - (time.monotonic() - began)) + row['seconds'])
            row['expired'] = figures(servers, count, directory)
            rows.append(row)
            say('  ', row)
    return rows


def figures(servers, count, directory):
    return {'tokens': count(servers), 'MiB of memory': memory_of(servers), 'MiB on disk': bytes_under(directory) if directory else 0}


def part():
    return {'sessions': sessions(), 'tokens': tokens()}
