"""libmemcached's tools: its protocol checks and the command line ones."""

import os
import re
import shutil
import tempfile

from harness import HOST, PEER, ClientTest, main, output, until

# Checks of memccapable that are not expected to pass, by name, each with its reason.
EXCLUDED = {}

SERVERS = f'--servers={PEER.memcached}'


class Memccapable(ClientTest):
    def test_both_protocols(self):
        shown = output('memccapable', '-h', HOST, '-p', str(PEER.memcached_port), '-t', '5', check=not EXCLUDED)
        results = dict(re.findall(r'^((?:ascii|binary) [a-z ]+?) +\[(pass|FAIL)\]', shown, re.M))
        self.assertEqual(len(results), 54, shown)
        self.assertEqual({name for name, r in results.items() if r != 'pass'} - set(EXCLUDED), set(), shown)


class Tools(ClientTest):
    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.key = self.unique('file')
        self.path = os.path.join(directory, self.key)
        with open(self.path, 'w') as f:
            f.write('content')

    def fails(self, *command):
        with self.assertRaises(AssertionError):
            output(*command)

    def test_copy_show_touch_remove(self):
        self.fails('memcexist', SERVERS, self.key)
        output('memccp', SERVERS, self.path)
        self.assertEqual(output('memccat', SERVERS, self.key).strip(), 'content')
        output('memcexist', SERVERS, self.key)
        output('memctouch', SERVERS, '--expire=100', self.key)
        self.assertEqual(output('memccat', SERVERS, self.key).strip(), 'content')
        output('memcrm', SERVERS, self.key)
        self.fails('memcexist', SERVERS, self.key)

    def test_dump(self):
        output('memccp', SERVERS, self.path)
        for i in range(20):  # memcached lists an item some time after it, when others have come
            shutil.copy(self.path, f'{self.path}-{i}')
            output('memccp', SERVERS, f'{self.path}-{i}')
        until(lambda: self.key in output('memcdump', SERVERS).split(), 0 if PEER.is_holdfast else 5, 'the list with ' + self.key)

    def test_ping_and_stat(self):
        output('memcping', SERVERS)
        shown = output('memcstat', SERVERS)
        for name in ('pid', 'uptime', 'version', 'curr_items', 'cmd_get', 'limit_maxbytes'):
            self.assertRegex(shown, rf'\b{name}: \S+')

    def test_flush(self):
        output('memccp', SERVERS, self.path)
        output('memcflush', SERVERS)
        self.fails('memcexist', SERVERS, self.key)

    def test_load(self):
        shown = output('memcslap', SERVERS, '--concurrency=4', '--execute-number=500', '--test=get')
        self.assertNotRegex(shown, '(?i)error|fail')


if __name__ == '__main__':
    main()
