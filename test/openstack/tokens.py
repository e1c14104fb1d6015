"""Side by side: what keeps tokens, and how it grows when their hour has passed."""

import os
import socket
import time

import redis

import world
from world import CONTROLLERS, MEMCACHED, REDIS, Holdfast, MariaDB, Memcached, Redis, say

TOKENS = world.few(100_000) // 1000 * 1000
TOKEN_BYTES = 2048
EXPIRY = 45  # seconds; stands for the hour


# Tokens as the drivers keep them that store tokens: MariaDB's table has the columns that Keystone's sql driver made until Newton.
def token(i):
    return f'{i:032x}', (f'{i:032x}' + 'x' * TOKEN_BYTES)[:TOKEN_BYTES]


def pipelined(r, first, expiry):
    for start in range(first, first + TOKENS, 1000):
        p = r.pipeline(transaction=False)
        for i in range(start, start + 1000):
            key, value = token(i)
            p.set(key, value, ex=expiry)
        p.execute()


def in_redis(expiry):
    def write(first):
        pipelined(redis.Redis(CONTROLLERS[0], REDIS, db=2), first, expiry)
    return write


def in_memcached(first):
    with socket.create_connection((CONTROLLERS[0], MEMCACHED)) as s:
        for start in range(first, first + TOKENS, 1000):
            s.sendall(b''.join(f'set {k} 0 {EXPIRY} {len(v)} noreply\r\n{v}\r\n'.encode() for k, v in map(token, range(start, start + 1000))))
        s.sendall(b'version\r\n')
        s.recv(100)


def in_mariadb(first):
    MariaDB.ask('create table if not exists keystone.token (id varchar(64) primary key, expires datetime, extra text, valid tinyint not null, user_id varchar(64),'
                ' trust_id varchar(64), key ix_expires (expires), key ix_expires_valid (expires, valid), key ix_user (user_id), key ix_trust (trust_id))')
    import pymysql
    with pymysql.connect(host='127.0.0.1', user='os', password='os', database='keystone') as c:
        for start in range(first, first + TOKENS, 1000):
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


def part():
    rows = []
    for title, make, write, count, directory in STORES:
        with make() as servers:
            row = {'title': title}
            for hour, first in [('first', 0), ('second', TOKENS)]:
                began = time.monotonic()
                write(first)
                written = time.monotonic()
                row[hour] = figures(servers, count, directory)
                if hour == 'first':
                    time.sleep(EXPIRY + 10)  # since the last was written
                    row['between'] = figures(servers, count, directory)
                    row['seconds'] = round(written - began, 1)
        rows.append(row)
        say('  ', row)
    return rows


def figures(servers, count, directory):
    return {'tokens': count(servers), 'MiB of memory': memory_of(servers), 'MiB on disk': bytes_under(directory) if directory else 0}
