"""Horizon with its sessions in the servers: a person in a browser, and thirty users while a server dies."""

import http.cookiejar
import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import keystone
import world
from browser import Browser
from world import CONTROLLERS, Holdfast, MariaDB, Memcached, Process, in_threads, say

PORT = 8000
AT = f'http://{CONTROLLERS[0]}:{PORT}'
USERS = world.few(30)
HANDS = 4  # requests at a time
ROUNDS_AFTER = 3  # pages that each user opens after the death

# CACHES['default'], with {redis} and so on to be filled in, and what else the form needs. None: what holdfast config prints.
PRINTED = 'as holdfast config prints it'
PRINTED_MEMCACHED = PRINTED + ', --protocol memcached'
FORMS = {
    PRINTED: None,
    'django-redis, redis://': ("{{'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': 'redis://{redis}/1',"
                               " 'OPTIONS': {{'CLIENT_CLASS': 'django_redis.client.DefaultClient'}}}}", ''),
    'redis_cache, host:port:db': ("{{'BACKEND': 'redis_cache.cache.RedisCache', 'LOCATION': '{redis}:1'}}", ''),
    'PyMemcacheCache': ("{{'BACKEND': 'django.core.cache.backends.memcached.PyMemcacheCache', 'LOCATION': {memcached}}}", ''),
    'MemcachedCache': ("{{'BACKEND': 'django.core.cache.backends.memcached.MemcachedCache', 'LOCATION': {memcached}}}", ''),
    PRINTED_MEMCACHED: None,
    'PyLibMCCache': ("{{'BACKEND': 'django.core.cache.backends.memcached.PyLibMCCache', 'LOCATION': {memcached}}}", ''),
}


class Horizon:
    """The dashboard on the first controller. A context."""

    def __init__(self, form, servers):
        if form.startswith(PRINTED):
            chosen = world.printed('horizon', 0, *(['--protocol', 'memcached'] if form == PRINTED_MEMCACHED else []))
        else:
            cache, more = FORMS[form]
            known = {'redis': servers.redis(0), 'memcached': servers.memcached()}
            chosen = f"{more}SESSION_ENGINE = 'django.contrib.sessions.backends.cache'\nCACHES = {{'default': {cache.format(**known)}}}"
        self.settings = f'''{chosen}
ALLOWED_HOSTS = ['*']
OPENSTACK_HOST = '{CONTROLLERS[0]}'
OPENSTACK_KEYSTONE_URL = 'http://{CONTROLLERS[0]}:{keystone.PORT}/v3'
COMPRESS_OFFLINE = True
'''

    def __enter__(self):
        with open('/etc/openstack-dashboard/local_settings.d/_99_state.py', 'w') as f:
            f.write(self.settings)
        self.service = Process('horizon', 'uwsgi_python3', '--plugins', 'python3', '--http-socket', AT.removeprefix('http://'), '--wsgi-file',
                               '/usr/share/openstack-dashboard/wsgi.py', '--static-map', '/static=/var/lib/openstack-dashboard/static', '--master',
                               '--processes', '2', '--threads', '4', '--enable-threads', '--lazy-apps', '--need-app', '--die-on-term',
                               '--disable-logging', '--listen', '100', '--buffer-size', '65535', '--uid', 'www-data', '--gid', 'www-data',
                               cwd='/usr/share/openstack-dashboard')
        self.service.await_(lambda: User('nobody').open('/auth/login/')[0] == 200)
        return self

    def __exit__(self, *_):
        self.service.kill()


class User:
    """A browser's cookies, without the browser."""

    def __init__(self, name):
        self.name = name
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, path, form=None, seconds=60):
        """Status (0: no answer), where it ended, the page, ms."""
        r = urllib.request.Request(AT + path, data=urllib.parse.urlencode(form).encode() if form else None, headers={'Referer': AT + path})
        began = time.monotonic()
        try:
            with self.opener.open(r, timeout=seconds) as f:
                status, url, page = f.status, f.url, f.read().decode(errors='replace')
        except urllib.error.HTTPError as e:
            status, url, page = e.code, e.url, e.read().decode(errors='replace')
        except OSError as e:
            status, url, page = 0, '', repr(e)
        return status, url, page, (time.monotonic() - began) * 1000

    def log_in(self):
        _, _, page, _ = self.open('/auth/login/')
        token = re.search(r'name=.csrfmiddlewaretoken. value=.([^"\']+)', page)
        region = re.search(r'name="region" value="([^"]*)"', page)
        if not token:
            return False
        status, url, _, _ = self.open('/auth/login/', {'csrfmiddlewaretoken': token.group(1), 'username': self.name, 'password': keystone.PASSWORD,
                                                       'region': region.group(1) if region else 'default', 'next': '/identity/'})
        return status == 200 and '/auth/login' not in url

    def look(self):
        """Opens a page that only users see. Status, whether still logged in, ms."""
        status, url, _, ms = self.open('/identity/')
        return status, status == 200 and '/auth/login' not in url, ms


def names():
    return [f'user{i + 1:02}' for i in range(USERS)]


def make_users():
    """Thirty users who may see the projects."""
    ip = CONTROLLERS[0]
    admin = keystone.issued(ip)
    ask = lambda method, path, body=None: keystone.request(method, ip, '/v3' + path, body, X_Auth_Token=admin)
    first = lambda kind: keystone.json.loads(ask('GET', f'/{kind}s?name=admin').body)[kind + 's'][0]['id']
    project, role = first('project'), first('role')

    def make(i):
        a = ask('POST', '/users', {'user': {'name': names()[i], 'domain_id': 'default', 'password': keystone.PASSWORD}})
        user = keystone.json.loads(a.body)['user']['id']
        return ask('PUT', f'/projects/{project}/users/{user}/roles/{role}').status
    if set(in_threads(USERS, make)) != {204}:
        raise SystemExit('Keystone made no users')
    return True


def person(form):
    """Someone logs in through the form, browses and logs out, in Chromium. What was seen; the screenshots are in out/."""
    picture = lambda step: os.path.join(world.OUT, f'horizon-{re.sub("[^a-zA-Z]+", "-", form).strip("-").lower()}-{step}.png')
    with Browser() as b:
        b.go(AT + '/auth/login/?next=/identity/')
        b.shot(picture('1-form'))
        b.type('#id_username', 'admin')
        b.type('#id_password', keystone.PASSWORD)
        b.click('#loginBtn')
        b.await_url(lambda u: '/identity' in u and 'login' not in u, 'the first page after the log-in')
        b.shot(picture('2-projects'))
        seen = {'after log-in': b.title(), 'rows': b.count('table tbody tr')}
        b.go(AT + '/identity/users/')
        b.await_url(lambda u: u.endswith('/users/'), 'the page of the users')
        b.shot(picture('3-users'))
        seen['users'] = b.count('table tbody tr')
        b.go(AT + '/auth/logout/')
        b.await_url(lambda u: 'login' in u, 'the form after the log-out')
        b.shot(picture('4-out'))
        b.go(AT + '/identity/')
        b.await_url(lambda u: 'login' in u, 'the form for one who is logged out')
        seen['after log-out'] = 'the form'
    return seen


def thirty(servers, kill):
    """All users log in and open pages; kill() is called in the midst of that. What became of them."""
    users = [User(n) for n in names()]
    logged_in = sum(in_threads(HANDS, lambda h: sum(u.log_in() for u in users[h::HANDS])))
    statuses, times, out, lock = {}, [], set(), threading.Lock()
    death = threading.Event()

    def browse(h):
        for k in range(1 + ROUNDS_AFTER):
            for j, u in enumerate(users[h::HANDS]):
                if h == 0 and k == 1 and j == 0:  # in the midst of requests
                    threading.Thread(target=kill).start()
                    death.set()
                status, still, ms = u.look()
                with lock:
                    statuses[status] = statuses.get(status, 0) + 1
                    if status == 200 and not still:
                        out.add(u.name)
                    if death.is_set():
                        times.append(ms)
    began = time.monotonic()
    in_threads(HANDS, browse)
    took = time.monotonic() - began
    servers.await_returns()
    time.sleep(1)
    return {'logged in': logged_in, 'logged out by it': len(out), 'still logged in': sum(u.look()[1] for u in users), 'statuses': statuses,
            'longest ms': round(max(times)), 'seconds': round(took, 1)}


def deaths(servers, form):
    """Who dies: kill() of each."""
    if not isinstance(servers, Holdfast):
        yield 'a server', lambda: servers.kill(1 if isinstance(servers, Memcached) else 0)
        return
    for leader, victim, title in [(2, 1, 'a member that follows'), (1, 1, 'the leader')]:
        servers.mend()
        servers.lead(leader)
        yield title, lambda: servers.kill(victim)
    if 'redis' in form:  # who has one address waits for its return
        servers.mend()
        servers.lead(1)
        yield f'the one Horizon talks to, started again after {world.RESTART} s', lambda: servers.crash(0)
    if form == PRINTED:
        servers.mend()
        servers.lead(0)
        yield 'the one Horizon talks to, which leads', lambda: servers.kill(0)
        servers.mend()
        servers.lead(1)
        yield 'the one Horizon talks to, which follows', lambda: servers.kill(0)


def prepare():
    """Puts the old back end where Django finds it, under its old name."""
    package = '/usr/lib/python3/dist-packages/redis_cache'
    os.makedirs(package, exist_ok=True)
    open(package + '/__init__.py', 'w').close()
    shutil.copy(os.path.join(os.path.dirname(__file__), 'old_redis_cache.py'), package + '/cache.py')
    shutil.chown('/var/lib/openstack-dashboard', 'www-data')


def part():
    prepare()
    rows, made = [], False
    with MariaDB():
        keystone.bootstrap()
        for servers, forms in [(Holdfast(), world.chosen(FORMS)), (Memcached(), world.chosen(['PyMemcacheCache']))]:
            # Keystone asks all three, as it should, so that what dies for Horizon does not stop the log-ins. One after the other they die within minutes:
            # it shuns none for long.
            with servers, keystone.Keystone(keystone.FORMS['oslo_cache.memcache_pool'] + '\nmemcache_dead_retry = 1', servers, controllers=CONTROLLERS[:1]):
                made = made or make_users()
                for form in forms:
                    rows += on(servers, form)
    return rows


def on(servers, form):
    """A browser's visit, and thirty users for each death."""
    seen = None
    for victim, kill in deaths(servers, form):
        with Horizon(form, servers):  # a new one for each: clients shun a server long after its return
            if seen is None:
                seen = person(form)
                say(f'{form} on {servers.title}: a person saw', seen)
            found = thirty(servers, kill)
        say(f'   {victim} is killed:', found)
        yield {'form': form, 'on': servers.title, 'person': seen, 'victim': victim, **found}
    servers.mend()
