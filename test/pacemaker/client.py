"""One client on the management host that lists all three controllers: client.py STORE KEYS SHUN, where the store is one of STORES.

It writes KEYS keys, says "filled", reads and writes until it reads a line, prints what it saw, and on the next line looks which of the
acknowledged writes are still there.
"""

import collections
import json
import random
import sys
import threading
import time

import redis
import redis.sentinel
from pymemcache.client.hash import HashClient
from redis.backoff import ConstantBackoff
from redis.retry import Retry

CONTROLLERS = ['controller1-vm', 'controller2-vm', 'controller3-vm']
PAUSE = 0.005  # seconds between two requests
LIFE = 3600  # seconds
SHUN = int(sys.argv[3])  # seconds that a HashClient leaves a server alone that has failed


def hash_client(port):
    """As 'holdfast config horizon --protocol memcached' prints it: pymemcache's HashClient, which knows nothing of Holdfast."""
    return HashClient([(c, port) for c in CONTROLLERS], connect_timeout=1, timeout=3, no_delay=True, retry_attempts=0, dead_timeout=SHUN,
                      ignore_exc=False, default_noreply=False)


class Memcached:
    def __init__(self, port):
        self.client = hash_client(port)

    def set(self, key, value):
        if not self.client.set(key, value, expire=LIFE):
            raise RuntimeError('not stored')

    def get(self, key):
        return self.client.get(key)


class Redis:
    """redis-py with the three as Sentinels, each of which answers with itself."""

    def __init__(self):
        patience = {'socket_connect_timeout': 1, 'socket_timeout': 4}
        sentinel = redis.sentinel.Sentinel([(c, 6379) for c in CONTROLLERS], sentinel_kwargs=patience, **patience)
        self.client = sentinel.master_for('kolla', retry=Retry(ConstantBackoff(0.1), 3),
                                          retry_on_error=[redis.exceptions.ConnectionError, redis.exceptions.TimeoutError])

    def set(self, key, value):
        self.client.set(key, value, ex=LIFE)

    def get(self, key):
        return self.client.get(key)


STORES = {
    'holdfast by HashClient': lambda: Memcached(11211),
    'holdfast by redis-py': Redis,
    'memcached by HashClient': lambda: Memcached(11311),
}


class Load:
    def __init__(self, store, keys):
        self.make, self.client = STORES[store], STORES[store]()
        self.written = {}  # what was acknowledged; a write that failed may be there or not, and is left out
        self.errors, self.missing, self.calls, self.longest = collections.Counter(), 0, 0, 0.0
        for i in range(keys):
            self.set(f'k{i}', f'{i}')

    def set(self, key, value):
        self.written.pop(key, None)
        self.client.set(key, value)
        self.written[key] = value

    def one(self, i):
        """A read of anything or a write of something new."""
        if i % 4 == 0:
            self.set(f'n{i}', f'new {i}')
            return
        key = random.choice(self.names)
        found = self.client.get(key)
        if found is None or found.decode() != self.written[key]:
            self.missing += 1

    def run(self, stop):
        self.names = list(self.written)
        good = time.monotonic()
        while not stop.is_set():
            self.calls += 1
            try:
                self.one(self.calls)
                self.longest, good = max(self.longest, time.monotonic() - good), time.monotonic()
            except Exception as e:  # every client has its own
                self.errors[type(e).__name__] += 1
            time.sleep(PAUSE)
        self.longest = max(self.longest, time.monotonic() - good)

    def seen(self):
        return {'calls': self.calls, 'errors': sum(self.errors.values()), 'kinds': dict(self.errors), 'missing': self.missing, 'pause': round(self.longest, 3)}

    def lost(self):
        """Asks a client that knows nothing of the past."""
        client = self.make()
        gone = sum((client.get(k) or b'').decode() != v for k, v in self.written.items())
        return {'written': len(self.written), 'lost': gone}


def main():
    load = Load(sys.argv[1], int(sys.argv[2]))
    print('filled', flush=True)
    stop = threading.Event()
    worker = threading.Thread(target=load.run, args=[stop], daemon=True)
    worker.start()
    sys.stdin.readline()
    stop.set()
    worker.join()
    print(json.dumps(load.seen()), flush=True)
    sys.stdin.readline()
    print(json.dumps(load.lost()), flush=True)


if __name__ == '__main__':
    main()
