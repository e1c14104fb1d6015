"""Keystone on three controllers: tokens issued, validated and revoked, while a server of its cache dies."""

import http.client
import json
import os
import shutil
import subprocess
import time

import world
from world import CONTROLLERS, MEMCACHED, REDIS, Holdfast, MariaDB, Memcached, Process, Redis, in_threads, say, until

PORT = 5000
PASSWORD = 'secret-of-the-test'
VALIDATIONS = world.few(600)
SLOW_MS = 1000  # oslo.cache gives a server a second

# [cache], with {redis} and {memcached} to be filled in.
NO_CACHE = 'enabled = false'
PRINTED = 'as holdfast config prints it'
FORMS = {
    PRINTED + ', memcached': PRINTED + ', memcached',
    PRINTED + ', redis': PRINTED + ', redis',
    'dogpile.cache.redis': '''enabled = true
backend = dogpile.cache.redis
backend_argument = url:redis://{redis}/2
expiration_time = 600''',
    'oslo_cache.memcache_pool': '''enabled = true
backend = oslo_cache.memcache_pool
memcache_servers = {memcached}
expiration_time = 600''',
    'dogpile.cache.pymemcache': '''enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = {memcached}
expiration_time = 600''',
}
# With a retry, which oslo.cache leaves out by default. Five: two or three are spent on a cut connection and on taking the dead server out.
FORMS['dogpile.cache.pymemcache, retrying'] = FORMS['dogpile.cache.pymemcache'] + '''
enable_retry_client = true
retry_attempts = 5
hashclient_retry_attempts = 1'''


def configuration(ip, cache):
    """Writes the file for one controller and returns its path."""
    path = f'/etc/keystone/{ip}.conf'
    with open(path, 'w') as f:
        f.write(f'''[DEFAULT]
log_file = keystone-{ip}.log
log_dir = /var/log/keystone
[cache]
{cache}
[database]
connection = mysql+pymysql://os:os@127.0.0.1/keystone?charset=utf8
[token]
provider = fernet
expiration = 3600
[identity]
password_hash_rounds = 4
[oslo_messaging_notifications]
driver = noop
''')
    os.chmod(path, 0o644)
    return path


def bootstrap():
    """Makes the database and the keys that the controllers share. Without a cache: one may hold ids of another database."""
    conf = configuration(CONTROLLERS[0], NO_CACHE)
    MariaDB.ask('drop database keystone; create database keystone character set utf8')
    for d in ['/var/log/keystone', '/etc/keystone/fernet-keys', '/etc/keystone/credential-keys']:
        os.makedirs(d, exist_ok=True)
        shutil.chown(d, 'keystone', 'keystone')
    owner = ['--keystone-user', 'keystone', '--keystone-group', 'keystone']
    url = f'http://{CONTROLLERS[0]}:{PORT}/v3'
    for words in [['fernet_setup', *owner], ['credential_setup', *owner], ['db_sync'],
                  ['bootstrap', '--bootstrap-password', PASSWORD, '--bootstrap-admin-url', url, '--bootstrap-public-url', url,
                   '--bootstrap-internal-url', url, '--bootstrap-region-id', 'RegionOne']]:
        done = subprocess.run(['keystone-manage', '--config-file', conf, *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f'keystone-manage {words[0]} failed:\n{done.stderr[-2000:]}')
    subprocess.run(['chown', '-R', 'keystone:keystone', '/var/log/keystone'], check=True)


class Keystone:
    """The services of some controllers, all of the three by default, with [cache] filled in for each. A context."""

    def __init__(self, cache, servers=None, controllers=CONTROLLERS, processes=2):
        self.cache, self.servers, self.controllers, self.processes = cache, servers, controllers, processes

    def _configuration(self, i, ip):
        if self.cache.startswith(PRINTED):
            protocol = 'redis' if 'redis' in self.cache else 'memcached'
            return configuration(ip, world.printed('keystone', i, '--protocol', protocol).partition('[cache]')[2])
        known = {'redis': self.servers.redis(i), 'memcached': ','.join(self.servers.memcached())} if self.servers else {}
        return configuration(ip, self.cache.format(**known))

    def __enter__(self):
        self.services = [Process(
            f'keystone-{ip}', 'uwsgi_python3', '--http-socket', f'{ip}:{PORT}', '--plugins', 'python3', '--wsgi-file', '/usr/bin/keystone-wsgi-public',
            '--master', '--processes', str(self.processes), '--threads', '4', '--enable-threads', '--lazy-apps', '--need-app', '--die-on-term',
            '--buffer-size', '65535', '--disable-logging', '--listen', '100', '--add-header', 'Connection: close', '--uid', 'keystone', '--gid', 'keystone',
            env={'OS_KEYSTONE_CONFIG_FILES': self._configuration(CONTROLLERS.index(ip), ip)}, cwd='/var/lib/keystone') for ip in self.controllers]
        for ip, s in zip(self.controllers, self.services):
            s.await_(lambda: request('GET', ip, '/v3').status == 200)
        return self

    def __exit__(self, *_):
        for s in self.services:
            s.kill()


class Answer:
    def __init__(self, status, headers, body, ms):
        self.status, self.headers, self.body, self.ms = status, headers, body, ms


def request(method, ip, path, body=None, seconds=60, **headers):
    """One request on a connection of its own. Status 0: there was no answer."""
    began = time.monotonic()
    c = http.client.HTTPConnection(ip, PORT, timeout=seconds)
    try:
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {'Content-Type': 'application/json', **{k.replace('_', '-'): v for k, v in headers.items()}})
        r = c.getresponse()
        return Answer(r.status, r.headers, r.read(), (time.monotonic() - began) * 1000)
    except (OSError, http.client.HTTPException) as e:
        return Answer(0, {}, repr(e).encode(), (time.monotonic() - began) * 1000)
    finally:
        c.close()


def issue(ip):
    """The token, or the answer if there is none."""
    a = request('POST', ip, '/v3/auth/tokens', {'auth': {
        'identity': {'methods': ['password'], 'password': {'user': {'name': 'admin', 'domain': {'id': 'default'}, 'password': PASSWORD}}},
        'scope': {'project': {'name': 'admin', 'domain': {'id': 'default'}}}}})
    a.token = a.headers.get('X-Subject-Token')
    return a


def issued(ip):
    """A token. Some clients of a cache fail for a while after a server was restarted before."""
    return until(lambda: issue(ip).token, 30, f'a token of the Keystone on {ip}')


def validate(ip, by, token, seconds=60):
    return request('GET', ip, '/v3/auth/tokens', X_Auth_Token=by, X_Subject_Token=token, seconds=seconds)


def revoke(ip, by, token):
    return request('DELETE', ip, '/v3/auth/tokens', X_Auth_Token=by, X_Subject_Token=token)


def life_of_tokens(n=world.few(12)):
    """Each is issued on one controller, used on all, revoked on the next, and then used on all: how often it was still good, how
    long after the revocation the last of them had answered."""
    admin = issued(CONTROLLERS[0])
    still_good, latest, wrong = 0, 0, []
    for k in range(n):
        token = issued(CONTROLLERS[k % 3])
        for ip in CONTROLLERS:
            a = validate(ip, admin, token)
            if a.status != 200:
                wrong.append(f'validation on {ip}: {a.status}')
        a = revoke(CONTROLLERS[(k + 1) % 3], admin, token)
        if a.status != 204:
            wrong.append(f'revocation: {a.status}')
        began = time.monotonic()
        answers = in_threads(3, lambda i: validate(CONTROLLERS[i], admin, token).status)
        latest = max(latest, (time.monotonic() - began) * 1000)
        still_good += answers.count(200)
        wrong += [f'validation of a revoked token: {s}' for s in answers if s not in (200, 404)]
    return {'tokens': n, 'still good after revocation': still_good, 'refused everywhere after ms': round(latest), 'wrong': wrong}


def validations(ip, kill, n=VALIDATIONS, seconds=20):
    """n validations of 20 tokens in a row on one controller; kill() is called after a sixth of them. Counts by status, slow ones,
    and whether a new token is issued at the end."""
    admin, at = issued(ip), n // 6
    tokens = [issued(ip) for _ in range(20)]
    for t in tokens:
        until(lambda: validate(ip, admin, t).status == 200, 30, f'a validation on {ip}')
    counts, times, hung = {}, [], 0
    for k in range(n):
        if k == at:
            kill()
        a = validate(ip, admin, tokens[k % len(tokens)], seconds)
        counts[a.status] = counts.get(a.status, 0) + 1
        times.append(a.ms)
        hung += a.ms >= seconds * 1000
        if hung == 3:
            break
    new = issue(ip)
    return {'statuses': counts, 'median ms before': round(sorted(times[:at])[at // 2]), 'longest ms': round(max(times[at:])),
            'slow': sum(t > SLOW_MS for t in times[at:]), 'new token': new.status}


def scenarios(servers, form):
    """Who dies, and on whose controller Keystone is asked. Each with a Keystone of its own: a client shuns a server long after its return, and
    since 2025.1 oslo.cache's pool goes without a cache when it shuns all."""
    if isinstance(servers, Holdfast):
        servers.lead(0)
        yield 'a member that follows', 0, lambda: servers.kill(1)
        servers.mend()
        servers.lead(2)
        yield 'the leader', 1, lambda: servers.kill(2)
        servers.mend()
        yield f'the member on its own controller, started again after {world.RESTART} s', 2, lambda: servers.crash(2)
    elif isinstance(servers, Memcached):
        yield 'a server', 0, lambda: servers.kill(1)
    else:
        yield 'the server', 0, lambda: servers.kill(0)


def part():
    rows = []
    with MariaDB():
        bootstrap()
        for form in world.chosen(FORMS):
            for servers in [Holdfast()] + ([] if form.startswith(PRINTED) else [Redis() if 'redis' in form else Memcached()]):
                with servers:
                    say(f'{form} on {servers.title}')
                    with Keystone(FORMS[form], servers):
                        life = life_of_tokens()
                    say('  ', life)
                    for victim, asked, kill in scenarios(servers, form):
                        with Keystone(FORMS[form], servers, controllers=CONTROLLERS[asked:asked + 1]):
                            found = validations(CONTROLLERS[asked], kill)
                        say(f'   {victim} is killed:', found)
                        rows.append({'form': form, 'on': servers.title, 'victim': victim, **found})
                    rows[-1]['life'] = life
    return rows
