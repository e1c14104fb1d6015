"""What Debian's redis-py cannot send: RESP3 byte by byte, HAProxy's inline check, handshakes of newer clients."""

import socket

from harness import HOST, PEER, ClientTest, Peer, main


class Wire:
    """A raw connection. read() takes one reply apart, keeping RESP3's types visible; raw() gives its bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), 10)
        self.file = self.socket.makefile('rb')
        self.seen = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, *arguments):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
        self.socket.sendall(b'*%d\r\n' % len(parts) + b''.join(b'$%d\r\n%s\r\n' % (len(p), p) for p in parts))

    def ask(self, *arguments):
        self.send(*arguments)
        return self.read()

    def raw(self, *arguments):
        self.send(*arguments)
        self.seen = b''
        self.read()
        return self.seen

    def inline(self, line):
        self.socket.sendall(line + b'\r\n')
        self.seen = b''
        self.read()
        return self.seen

    def read(self):
        line = self._take(self.file.readline())
        kind, rest = line[:1], line[1:-2]
        if kind in (b'$', b'=') and rest != b'-1':
            return self._take(self.file.read(int(rest) + 2))[:-2]
        if kind == b'%':
            return {self._hashable(self.read()): self.read() for _ in range(int(rest))}
        if kind in (b'*', b'~', b'>') and rest != b'-1':
            return [self.read() for _ in range(int(rest))]
        if kind == b':':
            return int(rest)
        if kind == b'-':
            return RuntimeError(rest.decode())
        return None if kind in (b'_', b'$', b'*') else rest

    def _take(self, data):
        assert data, 'the server closed the connection'
        self.seen += data
        return data

    @staticmethod
    def _hashable(key):
        return key if isinstance(key, (bytes, int)) else repr(key)

    def closed(self):
        return self.file.read(1) == b''


class Handshake(ClientTest):
    def setUp(self):
        self.w = self.enterContext(Wire(PEER.redis_port))

    def test_hello_3_answers_a_map(self):
        self.assertTrue(self.w.raw('HELLO', 3).startswith(b'%7\r\n'))
        hello = self.w.ask('HELLO', 3)
        self.assertEqual((hello[b'proto'], hello[b'mode'], hello[b'role']), (3, b'standalone', b'master'))
        modules = [m[b'name'] for m in hello[b'modules']]
        self.assertIn(modules, ([],) if PEER.is_holdfast else ([], [b'vectorset']))  # which is part of Redis since 8.0
        self.assertRegex(hello[b'version'], rb'^\d+\.\d+\.\d+$')
        self.assertIsInstance(hello[b'id'], int)

    def test_hello_2_and_none_answer_an_array(self):
        for arguments in (('HELLO',), ('HELLO', 2), ('hello', '2')):
            hello = self.w.ask(*arguments)
            self.assertEqual(hello[hello.index(b'proto') + 1], 2)
            self.assertTrue(self.w.raw(*arguments).startswith(b'*14\r\n'))

    def test_hello_with_a_bad_version(self):
        self.assertEqual(self.w.raw('HELLO', 4), b'-NOPROTO unsupported protocol version\r\n')
        self.assertEqual(self.w.raw('HELLO', 'x'), b'-ERR Protocol version is not an integer or out of range\r\n')

    def test_hello_with_setname(self):
        self.w.ask('HELLO', 3, 'SETNAME', 'me')
        self.assertEqual(self.w.raw('CLIENT', 'GETNAME'), b'$2\r\nme\r\n')

    def test_newer_clients_optional_steps_do_not_close(self):
        self.w.ask('HELLO', 3)
        for step in (('CLIENT', 'MAINT_NOTIFICATIONS', 'ON', 'moving-endpoint-type', 'internal-ip'),
                     ('CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'), ('CLIENT', 'SETINFO', 'LIB-VER', '8.0.0')):
            self.assertRegex(self.w.raw(*step), rb'^(\+OK|-ERR )')
        self.assertEqual(self.w.raw('SELECT', 1), b'+OK\r\n')
        self.assertEqual(self.w.raw('PING'), b'+PONG\r\n')


class Resp3(ClientTest):
    def setUp(self):
        self.w = self.enterContext(Wire(PEER.redis_port))
        self.w.ask('HELLO', 3)
        self.w.ask('SELECT', 5)
        self.w.ask('FLUSHDB')

    def expect(self, *exchanges):
        for arguments, reply in exchanges:
            self.assertEqual(self.w.raw(*arguments), reply, arguments)

    def test_the_only_null(self):
        with Wire(PEER.redis_port) as other:
            self.expect((('GET', 'none'), b'_\r\n'), (('HGET', 'none', 'f'), b'_\r\n'),
                        (('MGET', 'none', 'none'), b'*2\r\n_\r\n_\r\n'), (('SET', 'k', 'v', 'XX'), b'_\r\n'),
                        (('EVAL', 'return false', 0), b'_\r\n'), (('EVAL', 'return {1,false}', 0), b'*2\r\n:1\r\n_\r\n'),
                        (('WATCH', 'k'), b'+OK\r\n'))
            other.ask('SELECT', 5)
            other.ask('SET', 'k', 'v')
            self.expect((('MULTI',), b'+OK\r\n'), (('GET', 'k'), b'+QUEUED\r\n'), (('EXEC',), b'_\r\n'),
                        (('MULTI',), b'+OK\r\n'), (('EXEC',), b'*0\r\n'))

    def test_maps_and_sets(self):
        self.expect((('HSET', 'h', 'f', 'v'), b':1\r\n'), (('HGETALL', 'h'), b'%1\r\n$1\r\nf\r\n$1\r\nv\r\n'),
                    (('HGETALL', 'none'), b'%0\r\n'), (('HKEYS', 'h'), b'*1\r\n$1\r\nf\r\n'),
                    (('SADD', 's', 'm'), b':1\r\n'), (('SMEMBERS', 's'), b'~1\r\n$1\r\nm\r\n'),
                    (('SMEMBERS', 'none'), b'~0\r\n'))
        self.assertTrue(self.w.raw('CONFIG', 'GET', 'maxmemory').startswith(b'%1\r\n'))

    def test_info_scan_and_transactions(self):
        self.assertIn(self.w.raw('INFO')[:1], b'=$')
        self.expect((('SET', 'k', 'v'), b'+OK\r\n'), (('SCAN', 0, 'COUNT', 1000), b'*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n'),
                    (('MULTI',), b'+OK\r\n'), (('HSET', 'h', 'f', 'v'), b'+QUEUED\r\n'),
                    (('HGETALL', 'h'), b'+QUEUED\r\n'), (('GET', 'none'), b'+QUEUED\r\n'),
                    (('EXEC',), b'*3\r\n:1\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n_\r\n'))

    def test_back_to_resp2(self):
        self.w.ask('HELLO', 2)
        self.w.ask('HSET', 'h', 'f', 'v')
        self.expect((('GET', 'none'), b'$-1\r\n'), (('HGETALL', 'h'), b'*2\r\n$1\r\nf\r\n$1\r\nv\r\n'),
                    (('SMEMBERS', 'none'), b'*0\r\n'), (('EVAL', 'return false', 0), b'$-1\r\n'))

    def test_null_of_an_aborted_exec_in_resp2(self):
        with Wire(PEER.redis_port) as two:
            two.ask('SELECT', 5)
            two.ask('WATCH', 'k')
            self.w.ask('SET', 'k', 'v')
            two.ask('MULTI')
            self.assertEqual(two.raw('EXEC'), b'*-1\r\n')


class HAProxy(ClientTest):
    """TripleO's tcp-check: inline lines, each answer awaited."""

    def check(self, port, password=None):
        with Wire(port) as w:
            if password:
                self.assertEqual(w.inline(b'AUTH ' + password), b'+OK\r\n')
            self.assertEqual(w.inline(b'PING'), b'+PONG\r\n')
            self.assertIn(b'role:master\r\n', w.inline(b'info replication'))
            self.assertEqual(w.inline(b'QUIT'), b'+OK\r\n')
            self.assertTrue(w.closed())

    def test_without_a_password(self):
        self.check(PEER.redis_port)

    def test_with_a_password(self):
        with Peer(password='s3cret') as peer:
            self.check(peer.redis_port, b's3cret')
            with Wire(peer.redis_port) as w:
                self.assertEqual(w.inline(b'PING'), b'-NOAUTH Authentication required.\r\n')
                self.assertEqual(w.ask('HELLO', 3, 'AUTH', 'default', 's3cret')[b'proto'], 3)

    def test_inline_forms(self):
        with Wire(PEER.redis_port) as w:
            self.assertEqual(w.inline(b'  set   key  "a \\x41\\n" '), b'+OK\r\n')
            self.assertEqual(w.inline(b"get 'key'"), b'$4\r\na A\n\r\n')
            w.socket.sendall(b'\r\n\r\nPING\nPING\r\n')
            self.assertEqual((w.read(), w.read()), (b'PONG', b'PONG'))


class BadInput(ClientTest):
    def test_protocol_errors_are_said_and_close(self):
        for sent, reply in ((b'*1\r\n:4\r\n', b"-ERR Protocol error: expected '$', got ':'\r\n"),
                            (b'*x\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
                            (b'*1\r\n$-5\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
                            (b'*1\r\n$99999999999\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
                            (b"set k 'open\r\n", b'-ERR Protocol error: unbalanced quotes in request\r\n')):
            with Wire(PEER.redis_port) as w:
                w.socket.sendall(sent)
                self.assertEqual(w.file.readline(), reply, sent)
                self.assertTrue(w.closed(), sent)

    def test_a_byte_at_a_time(self):
        with Wire(PEER.redis_port) as w:
            w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for b in b'*2\r\n$4\r\nECHO\r\n$5\r\na\r\nbc\r\n':
                w.socket.sendall(bytes([b]))
            self.assertEqual(w.read(), b'a\r\nbc')


if __name__ == '__main__':
    main()
