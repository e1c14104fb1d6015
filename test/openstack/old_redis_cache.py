"""The cache back end that Horizon's documents named before 2015, redis_cache.cache.RedisCache of django-redis up to 3.8, as far as one
can still have it: no Debian has that package, and its code needs a Django of its time. This one is ours; it takes the same settings
(LOCATION 'host:port:db') and says the same commands in the same order, above all SETNX and then EXPIRE for a new session, and SETEX.
"""

import pickle

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache


class RedisCache(BaseCache):
    def __init__(self, server, params):
        super().__init__(params)
        host, port, db = server.split(':')
        self._client = redis.Redis(host=host, port=int(port), db=int(db))

    def _seconds(self, timeout):
        return self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        key, seconds = self.make_key(key, version=version), self._seconds(timeout)
        new = self._client.setnx(key, pickle.dumps(value, 2))
        if new and seconds:
            return self._client.expire(key, int(seconds))
        return new

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        key, seconds = self.make_key(key, version=version), self._seconds(timeout)
        if seconds:
            self._client.setex(key, int(seconds), pickle.dumps(value, 2))
        else:
            self._client.set(key, pickle.dumps(value, 2))

    def get(self, key, default=None, version=None):
        value = self._client.get(self.make_key(key, version=version))
        return default if value is None else pickle.loads(value)

    def delete(self, key, version=None):
        return bool(self._client.delete(self.make_key(key, version=version)))

    def has_key(self, key, version=None):
        return bool(self._client.exists(self.make_key(key, version=version)))

    def clear(self):
        self._client.flushdb()
