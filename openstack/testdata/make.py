"""Makes the files beside it: what the services' libraries store, pickled as they do it. Debian's python3-dogpile.cache and python3-msgpack are needed."""

import base64
import datetime
import json
import os
import pickle
import struct
import sys
import types

import msgpack
from dogpile.cache.api import CachedValue

HERE = os.path.dirname(os.path.abspath(__file__))
USER = '34abb6a18de74b1f92a5068c17109ed7'


def module(name, **classes):
    m = types.ModuleType(name)
    for key, c in classes.items():
        c.__module__ = name
        setattr(m, key, c)
    sys.modules[name] = m
    return m


class Token:
    pass


class TokenModel:
    pass


for n in ('openstack_auth', 'keystone', 'keystone.models'):
    module(n)
module('openstack_auth.user', Token=Token)
module('keystone.models.token_model', TokenModel=TokenModel)


def fernet(at):
    return base64.urlsafe_b64encode(b'\x80' + struct.pack('>Q', at) + os.urandom(150)).decode()


def write(name, data):
    with open(os.path.join(HERE, name), 'wb') as f:
        f.write(data)


def session():
    t = Token()
    t.__dict__.update({
        'id': fernet(1700003000), 'unscoped_token': fernet(1700000000),
        'user': {'id': USER, 'name': 'alice', 'user_domain_id': 'default', 'user_domain_name': 'Default'},
        'project': {'id': 'p1', 'name': 'demo', 'domain_id': 'default'},
        'expires': datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
        'roles': [{'id': 'r1', 'name': 'member'}],
        'serviceCatalog': [{'type': 'compute', 'endpoints': ['http://h/%d' % i for i in range(20)], 'id': 's', 'name': 'nova'}],
    })
    return {'_session_expiry': 3600, 'region_endpoint': 'http://k', 'token': t, 'user_id': USER, '_auth_user_id': USER,
            '_auth_user_backend': 'openstack_auth.backend.KeystoneBackend', '_auth_user_hash': '', 'unscoped_token': t.unscoped_token}


for protocol in 0, 2, 4, 5:
    write('session-%d' % protocol, pickle.dumps(session(), protocol))

model = TokenModel()
model.__dict__.update({'user_id': USER, '_TokenModel__expires_at': '2026-11-22T03:00:00.000000Z', 'issued_at': '2026-11-22T02:00:00.000000Z', 'methods': ['password']})
meta = {'ct': 1700000000.25, 'v': 2}
write('dogpile-redis-token', json.dumps(meta).encode() + b'|' + pickle.dumps(model))
write('dogpile-redis-catalog', json.dumps(meta).encode() + b'|' + pickle.dumps([{'user_id': 'nobody', 'expires_at': '2026-11-22T03:00:00Z'}]))
write('dogpile-memcached-token', pickle.dumps(CachedValue(model, meta), 2))
write('middleware-json', json.dumps([{'token': {'user': {'id': USER, 'name': 'alice'}, 'expires_at': '2026-11-22T03:00:00.000000Z', 'catalog': []}}, '2026-11-22T03:00:00Z']).encode())
write('tooz-group', msgpack.packb({b'agent-1': {b'capabilities': {'w': [1, 2.5, None, True, -3, 70000, 'x' * 300]}}, b'agent-2': {b'capabilities': b''}}, use_bin_type=True))
