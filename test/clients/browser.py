"""The Django site of django_app.py in a child process, and a browser for it."""

import http.cookiejar
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from harness import HERE, HOST, PEER

REDIS = 'django_redis.cache.RedisCache'
DJANGOS_REDIS = 'django.core.cache.backends.redis.RedisCache'  # since Django 4.0
PYMEMCACHE = 'django.core.cache.backends.memcached.PyMemcacheCache'


def location(backend):
    return PEER.redis_url(1) if backend in (REDIS, DJANGOS_REDIS) else PEER.memcached


class Site:
    """Runs django_app.py with the given cache back end until it is left as a context."""

    def __init__(self, backend):
        self.backend = backend

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'django_app.py'), self.backend, location(self.backend),
             os.path.join(self.directory.name, 'users.sqlite')], stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()


class Browser:
    """Keeps cookies from one get() to the next, or shows one stolen session key for ever."""

    def __init__(self, site, stolen=None):
        self.site = site
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener()
        if stolen:
            self.opener.addheaders = [('Cookie', f'sessionid={stolen}')]
        else:
            self.opener.add_handler(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, page):
        with self.opener.open(f'http://{HOST}:{self.site.port}/{page}', timeout=20) as response:
            return json.load(response)

    def login(self):
        return self.get('login?user=ada&password=lovelace')

    def session_key(self):
        return next((c.value for c in self.cookies if c.name == 'sessionid'), None)
