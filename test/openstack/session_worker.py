"""One process of a web server, as far as sessions go: Django's own session store on the back end that its argument names, told by lines
of JSON on its standard input what to do, one answer for each.
"""

import json
import statistics
import sys
import time


def configure(caches, engine, more):
    from django.conf import settings
    settings.configure(SECRET_KEY='x', CACHES=caches, SESSION_ENGINE=engine, SESSION_COOKIE_AGE=3600, USE_TZ=True,
                       SESSION_SERIALIZER='django.contrib.sessions.serializers.JSONSerializer', INSTALLED_APPS=['django.contrib.sessions'],
                       DATABASES={'default': {'ENGINE': 'django.db.backends.mysql', 'NAME': 'horizon', 'USER': 'os', 'PASSWORD': 'os',
                                              'HOST': '127.0.0.1', 'PORT': '3306', 'CONN_MAX_AGE': 60}}, **more)
    import django
    django.setup()
    from importlib import import_module
    return import_module(engine).SessionStore


class Worker:
    def __init__(self, store):
        self.store = store

    def prepare(self):
        from django.core.management import call_command
        call_command('migrate', 'sessions', verbosity=0)

    def make(self, n):
        """n log-ins. The keys of their sessions."""
        return [self._log_in() for _ in range(n)]

    def _log_in(self):
        s = self.store()
        s['user_id'], s['token'] = '1', 'x' * 2048
        s.save()
        return s.session_key

    def log_in(self):
        """Whether a log-in works just now."""
        try:
            return bool(self._log_in())
        except Exception:
            self._forget_connection()
            return False

    def look(self, keys):
        """For each session: 'there', 'gone' (the user is sent to the form), or 'error' (the page is a 500)."""
        return [self._look(k) for k in keys]

    def _look(self, key):
        try:
            return 'there' if 'token' in self.store(key) else 'gone'
        except Exception:
            self._forget_connection()
            return 'error'

    @staticmethod
    def _forget_connection():
        """As Django does at the end of a request that met a broken connection to its database."""
        from django.db import connections
        for c in connections.all():
            c.close_if_unusable_or_obsolete()

    def time(self, n):
        """Median microseconds of a load and of a save."""
        loads, saves = [], []
        keys = self.make(50)
        for k in range(n):
            s = self.store(keys[k % len(keys)])
            began = time.perf_counter()
            s.load()
            s['k'] = k
            middle = time.perf_counter()
            s.save()
            loads.append(middle - began)
            saves.append(time.perf_counter() - middle)
        return [statistics.median(loads) * 1e6, statistics.median(saves) * 1e6]


def main():
    given = json.loads(sys.argv[1])
    if 'source' in given:
        said = {}
        exec(given['source'], said)
        given = {'caches': said.pop('CACHES'), 'engine': said.pop('SESSION_ENGINE'), 'more': {k: v for k, v in said.items() if k.isupper()}}
    worker = Worker(configure(given['caches'], given['engine'], given['more']))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, name)(*arguments)), flush=True)


if __name__ == '__main__':
    main()
