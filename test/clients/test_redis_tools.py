"""redis-cli in its modes, and redis-benchmark."""

import os
import pty
import re
import select
import subprocess
import time

from harness import HOST, PEER, ClientTest, Peer, main, output


def cli(*arguments, stdin=None, port=None):
    return output('redis-cli', '-h', HOST, '-p', str(port or PEER.redis_port), *arguments, stdin=stdin)


def run_for(seconds, *command):
    """What an endless command prints within seconds."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return process.communicate(timeout=seconds)[0].decode()
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0].decode()


class RedisCli(ClientTest):
    def setUp(self):
        cli('flushall')

    def test_one_shot(self):
        self.assertEqual(cli('ping'), 'PONG\n')
        self.assertEqual(cli('set', 'k', 'v', 'ex', '100'), 'OK\n')
        self.assertEqual((cli('get', 'k'), cli('get', 'none')), ('v\n', '\n'))
        self.assertEqual(cli('-n', '1', 'exists', 'k'), '0\n')
        self.assertIn('ERR unknown command', cli('nosuch'))
        self.assertEqual(cli('hset', 'h', 'f', 'v'), '1\n')
        self.assertEqual(cli('--no-raw', 'hgetall', 'h'), '1) "f"\n2) "v"\n')

    def test_resp3(self):
        cli('hset', 'h', 'f', 'v')
        self.assertEqual(cli('-3', '--no-raw', 'hgetall', 'h'), '1# "f" => "v"\n')
        self.assertEqual(cli('-3', '--no-raw', 'get', 'none'), '(nil)\n')
        self.assertEqual(cli('-3', '--json', 'hgetall', 'h'), '{"f":"v"}\n')

    def test_commands_from_a_file(self):
        self.assertEqual(cli(stdin=b'set a 1\nincr a\nget a\n'), 'OK\n2\n2\n')
        self.assertEqual(cli('-x', 'set', 'k', stdin=b'from\x00stdin'), 'OK\n')
        self.assertEqual(cli('get', 'k'), 'from\x00stdin\n')

    def test_pipe_mode(self):
        commands = b''.join(b'*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$1\r\nv\r\n' % (len(str(i)) + 1, i) for i in range(20000))
        self.assertIn('errors: 0, replies: 20000', cli('--pipe', stdin=commands))
        self.assertEqual(cli('dbsize'), '20000\n')

    def test_pipe_mode_counts_errors(self):
        done = subprocess.run(['redis-cli', '-h', HOST, '-p', str(PEER.redis_port), '--pipe'], timeout=20,
                              input=b'SET k v\r\nINCR k\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertIn(b'errors: 1, replies: 2', done.stdout)

    def test_scan(self):
        cli('mset', 'a1', '1', 'a2', '2', 'b', '3')
        self.assertEqual(sorted(cli('--scan', '--pattern', 'a*').split()), ['a1', 'a2'])

    def test_bigkeys(self):
        cli('set', 'big', 'x' * 1000)
        cli('hset', 'h', 'f', 'v', 'g', 'w')
        cli('sadd', 's', 'm')
        shown = cli('--bigkeys')
        self.assertIn('Sampled 3 keys in the keyspace!', shown)
        self.assertRegex(shown, 'Biggest string found .*"big".* has 1000 bytes')
        self.assertRegex(shown, 'Biggest +hash found .*"h".* has 2 fields')
        self.assertRegex(shown, 'Biggest +set found .*"s".* has 1 members')

    def test_memkeys(self):
        cli('set', 'big', 'x' * 1000)
        self.assertRegex(cli('--memkeys'), 'Biggest string found .*"big".* has [1-9][0-9]{3,} bytes')

    def test_stat(self):
        cli('set', 'k', 'v')
        shown = run_for(1, 'stdbuf', '-oL', 'redis-cli', '-h', HOST, '-p', str(PEER.redis_port), '--stat', '-i', '0.1')
        lines = [l for l in shown.splitlines() if re.match(r'^1 +\S+[KMG]? +\d+ +\d+ +\d+', l)]
        self.assertGreaterEqual(len(lines), 2, shown)

    def test_latency(self):
        fields = cli('--latency', '--raw').split()
        self.assertEqual(len(fields), 4)
        self.assertGreater(int(fields[3]), 50)

    def test_interactive_session(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM='dumb', HOME='/nonexistent')
            os.execvp('redis-cli', ['redis-cli', '-h', HOST, '-p', str(PEER.redis_port)])
        try:
            shown = self.expect(terminal, b'', '> $')
            self.assertNotIn('rror', shown)
            self.assertIn('OK', self.expect(terminal, b'set k v\n', 'OK[\\s\\S]*> $'))
            self.assertIn('"v"', self.expect(terminal, b'get k\n', '"v"[\\s\\S]*> $'))
            self.assertIn('[1]> ', self.expect(terminal, b'select 1\n', r'\[1\]> $'))
            self.assertIn('(nil)', self.expect(terminal, b'get k\n', r'\(nil\)[\s\S]*> $'))
            self.assertIn('QUEUED', self.expect(terminal, b'multi\nset k w\n', r'QUEUED[\s\S]*\(TX\)> $'))
            os.write(terminal, b'exit\n')
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)

    def expect(self, terminal, send, pattern):
        os.write(terminal, send)
        shown, end = '', time.monotonic() + 10
        while not re.search(pattern, shown):
            self.assertLess(time.monotonic(), end, f'waiting for {pattern}, saw {shown!r}')
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode()
        return shown

    def test_password(self):
        with Peer(password='s3cret') as peer:
            self.assertIn('NOAUTH', cli('get', 'k', port=peer.redis_port))
            self.assertIn('PONG', cli('-a', 's3cret', 'ping', port=peer.redis_port))
            self.assertIn('PONG', cli('-u', f'redis://default:s3cret@{HOST}:{peer.redis_port}/1', 'ping'))


class RedisBenchmark(ClientTest):
    tests = 'ping_inline,ping_mbulk,set,get,incr,sadd,hset,mset'

    def run_benchmark(self, *arguments):
        shown = output('redis-benchmark', '-h', HOST, '-p', str(PEER.redis_port), '-q', '-n', '2000', '-r', '1000',
                       '-t', self.tests, *arguments)
        self.assertNotRegex(shown, '(?i)err')
        self.assertEqual(len(re.findall('requests per second', shown)), 8, shown)

    def test_plain(self):
        self.run_benchmark()

    def test_pipelined(self):
        self.run_benchmark('-P', '16')

    def test_many_connections(self):
        self.run_benchmark('-c', '200', '--threads', '2')

    def test_any_command(self):
        shown = output('redis-benchmark', '-h', HOST, '-p', str(PEER.redis_port), '-q', '-n', '2000', '-P', '8', '-r',
                       '100', 'eval', "return redis.call('INCR', KEYS[1])", '1', 'n:__rand_int__')
        self.assertNotRegex(shown, '(?i)err')


if __name__ == '__main__':
    main()
