"""redis-py: commands, pipelines, transactions, scripts, scans, authentication, pool behaviour."""

import unittest
import unittest.mock

import redis

from harness import HOST, PEER, ClientTest, Peer, in_threads, main, until

DB = 3
REFUSED = redis.ResponseError, redis.AuthenticationError  # the second, without its code, since redis-py has a class for it
HAS_RESP3 = hasattr(redis.connection, '_RESP3Parser')


def client(**options):
    return redis.Redis(HOST, PEER.redis_port, db=DB, **options)


class RedisPy(ClientTest):
    def setUp(self):
        self.r = client()
        self.addCleanup(self.r.close)
        self.r.flushdb()


class Strings(RedisPy):
    def test_set_options(self):
        r = self.r
        self.assertIs(r.set('k', 'a', nx=True), True)
        self.assertIsNone(r.set('k', 'b', nx=True))
        self.assertIsNone(r.set('other', 'b', xx=True))
        self.assertIs(r.set('k', 'b', xx=True), True)
        self.assertEqual(r.set('k', 'c', get=True), b'b')
        self.assertIsNone(r.set('new', 'c', get=True))
        self.assertEqual(r.get('k'), b'c')
        self.assertEqual(r.ttl('k'), -1)
        r.set('k', 'd', ex=100)
        self.assertIn(r.ttl('k'), (99, 100))
        r.set('k', 'e', keepttl=True)
        self.assertIn(r.ttl('k'), (99, 100))
        r.set('k', 'f')
        self.assertEqual(r.ttl('k'), -1)
        r.set('k', 'g', px=50000)
        self.assertTrue(49000 < r.pttl('k') <= 50000)
        seconds, _ = r.time()
        r.set('k', 'h', exat=seconds + 1000)
        self.assertTrue(998 <= r.ttl('k') <= 1000)
        r.set('k', 'i', pxat=seconds * 1000 + 1000000)
        self.assertTrue(998 <= r.ttl('k') <= 1000)

    def test_bad_set_options_are_refused_with_the_original_texts(self):
        for arguments, text in ((('NX', 'XX'), 'syntax error'), (('EX', '0'), "invalid expire time in 'set' command"),
                                (('EX', '-1'), "invalid expire time in 'set' command"),
                                (('EX', 'x'), 'value is not an integer or out of range'),
                                (('EX', '1', 'PX', '1'), 'syntax error'), (('BOGUS',), 'syntax error')):
            with self.assertRaises(redis.ResponseError) as e:
                self.r.execute_command('SET', 'k', 'v', *arguments)
            self.assertEqual(str(e.exception), text)
        self.assertEqual(self.r.exists('k'), 0)

    def test_setex_psetex_setnx_getset_mset_mget(self):
        r = self.r
        r.setex('a', 100, '1')
        r.psetex('b', 100000, '2')
        self.assertTrue(99 <= r.ttl('a') <= 100 and 99 <= r.ttl('b') <= 100)
        self.assertIs(r.setnx('a', 'x'), False)
        self.assertIs(r.setnx('c', '3'), True)
        self.assertEqual(r.getset('c', '4'), b'3')
        r.mset({'d': '5', 'e': '6'})
        self.assertEqual(r.mget('a', 'none', 'b', 'c', 'd', 'e'), [b'1', None, b'2', b'4', b'5', b'6'])
        self.assertEqual(r.delete('a', 'b', 'none', 'a'), 2)
        self.assertEqual(r.exists('c', 'c', 'a'), 2)

    def test_counters(self):
        r = self.r
        self.assertEqual((r.incr('n'), r.incr('n', 41), r.decr('n'), r.decr('n', 50), r.incrby('n', -1)),
                         (1, 42, 41, -9, -10))
        self.assertEqual(r.get('n'), b'-10')
        r.set('text', 'abc')
        with self.assertRaisesRegex(redis.ResponseError, '^value is not an integer or out of range$'):
            r.incr('text')
        r.set('n', 2**63 - 1)
        with self.assertRaisesRegex(redis.ResponseError, '^increment or decrement would overflow$'):
            r.incr('n')
        r.set('n', 1, ex=100)
        r.incr('n')
        self.assertGreater(r.ttl('n'), 90)

    def test_expire_family(self):
        r = self.r
        self.assertIs(r.expire('none', 10), False)
        r.set('k', 'v')
        self.assertIs(r.persist('k'), False)
        self.assertIs(r.expire('k', 100), True)
        self.assertTrue(99 <= r.ttl('k') <= 100)
        self.assertIs(r.pexpire('k', 200000), True)
        self.assertTrue(199000 <= r.pttl('k') <= 200000)
        self.assertIs(r.persist('k'), True)
        self.assertEqual((r.ttl('k'), r.pttl('k'), r.ttl('none'), r.pttl('none')), (-1, -1, -2, -2))
        now = r.time()[0]
        r.expireat('k', now + 300)
        self.assertTrue(298 <= r.ttl('k') <= 300)
        r.pexpireat('k', (now + 400) * 1000)
        self.assertTrue(398 <= r.ttl('k') <= 400)
        self.assertIs(r.expire('k', -1), True)
        self.assertEqual(r.exists('k'), 0)

    def test_binary_keys_and_values(self):
        key, value = b'\x00\r\n$5\r\n\xff' + b"b'_tooz'_b'l'_lock=:", bytes(range(256)) * 4
        self.r.set(key, value)
        self.assertEqual(self.r.get(key), value)
        self.assertEqual(self.r.keys(), [key])
        self.r.hset(b'h\x00', b'\r\n', value)
        self.assertEqual(self.r.hgetall(b'h\x00'), {b'\r\n': value})
        self.r.set('empty', b'')
        self.assertEqual(self.r.get('empty'), b'')

    def test_values_of_megabytes(self):
        for size in (1 << 16, (1 << 20) + 7, 8 << 20):
            value = bytes([size % 251]) * size
            self.r.set('big', value)
            self.assertTrue(self.r.get('big') == value, f'{size} bytes came back otherwise')

    def test_decode_responses(self):
        with client(decode_responses=True) as r:
            r.set('schlüssel', 'wert €')
            self.assertEqual(r.get('schlüssel'), 'wert €')
            r.hset('h', mapping={'f': 'v', 'ü': 'ß'})
            self.assertEqual(r.hgetall('h'), {'f': 'v', 'ü': 'ß'})
            self.assertEqual(sorted(r.keys()), ['h', 'schlüssel'])


class Collections(RedisPy):
    def test_hashes(self):
        r = self.r
        self.assertEqual(r.hset('h', 'a', '1'), 1)
        self.assertEqual(r.hset('h', 'a', '2'), 0)
        self.assertEqual(r.hset('h', mapping={'a': '3', 'b': '4', 'c': '5'}), 2)
        self.assertEqual((r.hget('h', 'a'), r.hget('h', 'x'), r.hget('none', 'a')), (b'3', None, None))
        self.assertEqual(r.hmget('h', 'c', 'x', 'a'), [b'5', None, b'3'])
        self.assertEqual(r.hgetall('h'), {b'a': b'3', b'b': b'4', b'c': b'5'})
        self.assertEqual((sorted(r.hkeys('h')), r.hlen('h'), r.hlen('none')), ([b'a', b'b', b'c'], 3, 0))
        self.assertEqual((r.hexists('h', 'a'), r.hexists('h', 'x')), (True, False))
        self.assertEqual((r.hsetnx('h', 'a', '9'), r.hsetnx('h', 'd', '9')), (0, 1))
        self.assertEqual(r.hdel('h', 'a', 'x', 'd'), 2)
        self.assertEqual(r.hdel('h', 'b', 'c'), 2)
        self.assertEqual((r.exists('h'), r.hgetall('h'), r.hkeys('h')), (0, {}, []))

    def test_sets(self):
        r = self.r
        self.assertEqual(r.sadd('s', 'a', 'b', 'a'), 2)
        self.assertEqual(r.sadd('s', 'b'), 0)
        self.assertEqual(r.smembers('s'), {b'a', b'b'})
        self.assertEqual((r.sismember('s', 'a'), r.sismember('s', 'x')), (1, 0))
        self.assertEqual(r.srem('s', 'a', 'x'), 1)
        self.assertEqual(r.srem('s', 'b'), 1)
        self.assertEqual((r.exists('s'), r.smembers('s')), (0, set()))

    def test_wrong_type(self):
        self.r.set('s', 'v')
        self.r.hset('h', 'f', 'v')
        for call in (lambda: self.r.hget('s', 'f'), lambda: self.r.sadd('s', 'v'), lambda: self.r.get('h'),
                     lambda: self.r.incr('h'), lambda: self.r.sismember('h', 'v')):
            with self.assertRaises(redis.ResponseError) as e:
                call()
            self.assertEqual(str(e.exception), 'WRONGTYPE Operation against a key holding the wrong kind of value')
        self.assertEqual(self.r.mget('s', 'h'), [b'v', None])
        self.assertIs(self.r.set('h', 'now a string'), True)

    def test_scan_iter_and_keys_find_every_key(self):
        want = {b'key:%d' % i for i in range(1000)}
        with self.r.pipeline(transaction=False) as p:
            for k in want:
                p.set(k, 1)
            p.set('other', 1)
            p.execute()
        self.assertEqual(set(self.r.scan_iter('key:*')), want)
        self.assertEqual(set(self.r.scan_iter(count=1000)), want | {b'other'})
        self.assertEqual(set(self.r.scan_iter('key:1?', count=7)), {b'key:1%d' % i for i in range(10)})
        self.assertEqual(set(self.r.keys('key:[12]5')), {b'key:15', b'key:25'})
        self.assertEqual(self.r.dbsize(), 1001)

    def test_glob_escapes(self):
        self.r.mset({'a*b': 1, 'axb': 1, 'a[b': 1, 'a?b': 1, 'a-b': 1})
        for pattern, want in (('a[*]b', [b'a*b']), ('a\\*b', [b'a*b']), ('a[[]b', [b'a[b']), ('a[?]b', [b'a?b']),
                              ('a[^x]b', [b'a*b', b'a-b', b'a?b', b'a[b']), ('a[w-y]b', [b'axb'])):
            self.assertEqual(sorted(self.r.keys(pattern)), want, pattern)
            self.assertEqual(sorted(self.r.scan_iter(pattern)), want, pattern)

    def test_databases_are_apart(self):
        with redis.Redis(HOST, PEER.redis_port, db=15) as other:
            other.flushdb()
            self.r.set('k', 'mine')
            self.assertIsNone(other.get('k'))
            other.set('k', 'other')
            other.flushdb()
            self.assertEqual(self.r.get('k'), b'mine')
        with self.assertRaisesRegex(redis.ResponseError, 'DB index is out of range'):
            redis.Redis(HOST, PEER.redis_port, db=99999).ping()


class Transactions(RedisPy):
    def test_pipeline_with_and_without_multi(self):
        for transaction in (True, False):
            with self.r.pipeline(transaction=transaction) as p:
                p.set('k', 1).incr('k').get('k').delete('k').get('k').hset('h', 'f', 1).hgetall('h').delete('h')
                self.assertEqual(p.execute(), [True, 2, b'2', 1, None, 1, {b'f': b'1'}, 1])

    def test_an_error_inside_stops_nothing(self):
        for transaction in (True, False):
            with self.r.pipeline(transaction=transaction) as p:
                p.set('k', 'text').incr('k').set('after', 1)
                got = p.execute(raise_on_error=False)
            self.assertIs(got[0], True)
            self.assertIsInstance(got[1], redis.ResponseError)
            self.assertIs(got[2], True)
            self.assertEqual(self.r.get('after'), b'1')

    def test_an_error_while_queueing_aborts(self):
        with self.r.pipeline() as p:
            p.set('k', 1)
            p.execute_command('SET', 'k')
            with self.assertRaises(redis.ResponseError):
                p.execute()
        self.assertEqual(self.r.exists('k'), 0)

    def test_a_long_pipeline(self):
        with self.r.pipeline(transaction=False) as p:
            for i in range(10000):
                p.incr('n')
            self.assertEqual(p.execute(), list(range(1, 10001)))

    def test_watch_conflict(self):
        with self.r.pipeline() as p:
            p.watch('k')
            self.assertEqual(p.exists('k'), 0)
            self.r.set('k', 'by another')
            p.multi()
            p.set('k', 'mine')
            with self.assertRaises(redis.WatchError):
                p.execute()
        self.assertEqual(self.r.get('k'), b'by another')

    def test_watch_without_conflict_and_unwatch(self):
        with self.r.pipeline() as p:
            p.watch('k', 'l')
            p.multi()
            p.set('k', 'mine')
            self.assertEqual(p.execute(), [True])
            p.watch('k')
            self.r.set('k', 'by another')
            p.unwatch()
            p.multi()
            p.set('k', 'mine again')
            self.assertEqual(p.execute(), [True])

    def test_watched_key_that_expires_or_goes_with_flushdb(self):
        self.r.set('k', 'v')
        with self.r.pipeline() as p:
            p.watch('k')
            self.r.flushdb()
            p.multi()
            p.set('l', 1)
            with self.assertRaises(redis.WatchError):
                p.execute()

    def test_watched_read_with_an_empty_body_as_tooz_does(self):
        with self.r.pipeline() as p:
            p.watch('k')
            p.exists('k')
            p.multi()
            self.assertEqual(p.execute(), [])
        with redis.Redis(HOST, PEER.redis_port, db=DB, single_connection_client=True) as one:
            one.execute_command('WATCH', 'k')
            one.execute_command('MULTI')
            self.assertEqual(one.execute_command('EXEC'), [])

    def test_transaction_helper_counts_right_under_contention(self):
        self.r.set('n', 0)

        def work(_):
            with client() as r:
                for _ in range(20):
                    def increment(p):
                        n = int(p.get('n'))
                        p.multi()
                        p.set('n', n + 1)
                    r.transaction(increment, 'n')
        in_threads(4, work)
        self.assertEqual(self.r.get('n'), b'80')


class Scripts(RedisPy):
    def test_register_script_loads_itself_after_noscript(self):
        self.r.script_flush()
        script = self.r.register_script("return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
        with self.assertRaises(redis.exceptions.NoScriptError):
            self.r.evalsha(script.sha, 1, 'n', 5)
        self.assertEqual(script(keys=['n'], args=[5]), [b'n', b'5', 5])
        self.assertEqual(self.r.evalsha(script.sha, 1, 'n', 5), [b'n', b'5', 10])
        self.assertEqual(self.r.script_exists(script.sha, '0' * 40), [True, False])

    def test_script_in_a_pipeline(self):
        self.r.script_flush()
        script = self.r.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
        with self.r.pipeline() as p:
            script(keys=['k'], args=['v'], client=p)
            p.get('k')
            self.assertEqual(p.execute(), [b'OK', b'v'])

    def test_conversions_from_lua(self):
        for text, want in (('return 1', 1), ('return 3.99', 3), ('return "s"', b's'), ('return false', None),
                           ('return true', 1), ('return nil', None), ('return {1,"a",false,{2}}', [1, b'a', None, [2]]),
                           ('return {1,nil,3}', [1]), ('return {ok="FINE"}', b'FINE'), ('return {}', []),
                           ('return redis.call("GET", "none")', None),
                           ('return redis.call("GET", "none") == false', 1),
                           ('return redis.sha1hex("")', b'da39a3ee5e6b4b0d3255bfef95601890afd80709'),
                           ('return tostring(redis.call("PTTL", "none"))', b'-2')):
            self.assertEqual(self.r.eval(text, 0), want, text)

    def test_errors_in_lua(self):
        self.r.set('s', 'text')
        with self.assertRaisesRegex(redis.ResponseError, 'value is not an integer or out of range'):
            self.r.eval("return redis.call('INCRBY', KEYS[1], 1)", 1, 's')
        with self.assertRaisesRegex(redis.ResponseError, 'mine'):
            self.r.eval("return redis.error_reply('mine')", 0)
        with self.assertRaises(redis.ResponseError):
            self.r.eval('this is not lua', 0)
        self.assertEqual(self.r.eval("return redis.pcall('INCRBY', KEYS[1], 1)['err'] ~= nil", 1, 's'), 1)

    def test_scripts_are_atomic(self):
        script = self.r.register_script(
            "local n = tonumber(redis.call('GET', KEYS[1]) or '0') redis.call('SET', KEYS[1], n + 1) return n + 1")

        def work(_):
            with client() as r:
                return [script(keys=['n'], client=r) for _ in range(50)]
        got = sum(in_threads(4, work), [])
        self.assertEqual(sorted(got), list(range(1, 201)))


class Connections(RedisPy):
    def test_info_has_the_version_tooz_can_read(self):
        version = self.r.info()['redis_version']
        self.assertRegex(version, r'^\d+\.\d+\.\d+$')
        self.assertEqual(self.r.info('replication')['role'], 'master')
        self.assertEqual(self.r.info('server')['redis_version'], version)

    def test_health_checks_and_ping(self):
        with client(health_check_interval=1) as r:
            self.assertIs(r.ping(), True)
            connection = r.connection_pool.get_connection('PING')
            connection.next_health_check = 0
            r.connection_pool.release(connection)
            r.set('k', 'v')
            self.assertEqual(r.get('k'), b'v')

    def test_client_names_and_echo(self):
        with client(client_name='holdfast-test', single_connection_client=True) as r:
            self.assertEqual(r.client_getname(), 'holdfast-test')
            self.assertIsInstance(r.client_id(), int)
            self.assertEqual(r.echo('hello'), b'hello')

    def test_unknown_command(self):
        with self.assertRaisesRegex(redis.ResponseError, "^unknown command 'NOSUCH', with args beginning with: 'a' 'b'"):
            self.r.execute_command('NOSUCH', 'a', 'b')
        with self.assertRaisesRegex(redis.ResponseError, "^wrong number of arguments for 'get' command"):
            self.r.execute_command('GET')

    def test_many_connections_at_once(self):
        clients = [client() for _ in range(200)]
        try:
            for i, r in enumerate(clients):
                r.set(f'k{i}', i)
            self.assertEqual([int(r.get(f'k{i}')) for i, r in enumerate(clients)], list(range(200)))
        finally:
            for r in clients:
                r.close()

    def test_write_is_read_by_another_connection_at_once(self):
        with client() as other:
            for i in range(500):
                self.r.set('k', i)
                self.assertEqual(other.get('k'), b'%d' % i)

    def test_auth_without_a_password_configured(self):
        with self.assertRaisesRegex(REFUSED, 'AUTH <password> called without any password configured for '
                                    'the default user. Are you sure your configuration is correct?'):
            redis.Redis(HOST, PEER.redis_port, password='some').ping()


@unittest.skipUnless(HAS_RESP3, 'redis-py speaks RESP3 since 5.0')
class Resp3(ClientTest):
    def client(self, **options):
        r = client(protocol=3, **options)
        self.addCleanup(r.close)
        return r

    def setUp(self):
        self.r = self.client()
        self.r.flushdb()

    def test_replies_have_their_types(self):
        r = self.r
        r.hset('h', 'f', 'v')
        r.sadd('s', 'm')
        r.zadd('z', {'m': 1.5})
        self.assertEqual((r.hgetall('h'), r.smembers('s')), ({b'f': b'v'}, {b'm'}))
        self.assertEqual((r.zscore('z', 'm'), r.zrange('z', 0, -1, withscores=True)), (1.5, [[b'm', 1.5]]))
        self.assertEqual((r.get('none'), r.exists('h'), r.ttl('h')), (None, 1, -1))
        self.assertEqual(r.eval('redis.setresp(3) return redis.call("hgetall", KEYS[1])', 1, 'h'), {b'f': b'v'})
        with r.pipeline() as p:
            self.assertEqual(p.hgetall('h').zscore('z', 'm').execute(), [{b'f': b'v'}, 1.5])

    def test_messages_between_replies(self):
        channel = self.unique()
        with self.r.pubsub(ignore_subscribe_messages=True) as messages:
            messages.subscribe(channel)
            until(lambda: messages.get_message() is None and self.client().publish(channel, 'hello'))
            self.assertEqual(until(messages.get_message)['data'], b'hello')

    def test_client_side_cache(self):
        from redis.cache import CacheConfig
        # redis-py does it with servers that call themselves 7.4 or later; Holdfast, as Debian's Redis of 2023, says 7.0.
        self.enterContext(unittest.mock.patch.object(redis.connection.CacheProxyConnection, 'MIN_ALLOWED_VERSION', '7.0.0'))
        r = self.client(cache_config=CacheConfig())
        self.r.set('k', 'old')
        for _ in range(2):
            self.assertEqual(r.get('k'), b'old')
        self.assertEqual(r.get_cache().size, 1)
        self.r.set('k', 'new')
        until(lambda: r.get('k') == b'new', what='the invalidation')

    def test_login(self):
        with Peer(password='s3cret') as peer:
            def connect(**options):
                return redis.Redis(HOST, peer.redis_port, protocol=3, **options)
            self.assertIs(connect(password='s3cret').set('k', 'v'), True)
            for options in (dict(password='wrong'), dict(username='nobody', password='s3cret')):
                with self.assertRaisesRegex(REFUSED, 'invalid username-password pair or user is disabled'):
                    connect(**options).ping()


class Password(ClientTest):
    def test_auth(self):
        with Peer(password='s3cret') as peer:
            def connect(**options):
                return redis.Redis(HOST, peer.redis_port, **options)
            self.assertIs(connect(password='s3cret').ping(), True)
            self.assertIs(connect(username='default', password='s3cret', db=2).set('k', 'v'), True)
            with self.assertRaisesRegex(redis.exceptions.AuthenticationError, 'Authentication required'):
                connect().get('k')
            for options in (dict(password='wrong'), dict(username='default', password='wrong'),
                            dict(username='nobody', password='s3cret')):
                with self.assertRaisesRegex(REFUSED, '^(WRONGPASS )?invalid username-password pair or user is disabled'):
                    connect(**options).ping()
            url = redis.Redis.from_url(f'redis://:s3cret@{HOST}:{peer.redis_port}/2')
            self.assertEqual(url.get('k'), b'v')


if __name__ == '__main__':
    main()
