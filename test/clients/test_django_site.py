"""A whole Django site, with a browser: its sessions live in Holdfast, configured by nothing but the two known settings."""

from browser import PYMEMCACHE, REDIS, Browser, Site
from harness import HOST, PEER, ClientTest, in_threads, main, output, until


class DjangoSite:
    timeout = 60

    @classmethod
    def setUpClass(cls):
        cls.site = Site(cls.backend)
        cls.site.__enter__()
        cls.addClassCleanup(cls.site.__exit__)

    def setUp(self):
        self.browser = Browser(self.site)

    def test_log_in_and_out(self):
        self.assertFalse(self.browser.get('login?user=ada&password=wrong')['welcome'])
        self.assertEqual(self.browser.login()['user'], 'ada')
        inside = self.browser.session_key()
        for _ in range(3):
            self.assertEqual(self.browser.get('show')['user'], 'ada')
        self.assertEqual(self.browser.get('logout')['user'], '')
        self.assertEqual(self.browser.get('show')['user'], '')
        self.browser.cookies.clear()
        self.assertNotEqual(self.browser.login()['key'], inside)

    def test_stolen_cookie_is_worth_nothing_after_log_out(self):
        self.browser.login()
        thief = Browser(self.site, stolen=self.browser.session_key())
        self.assertEqual(thief.get('show')['user'], 'ada')
        self.browser.get('logout')
        self.assertEqual(thief.get('show')['user'], '')

    def test_every_page_view_is_kept(self):
        self.browser.login()
        for i in range(1, 30):
            self.assertEqual(self.browser.get(f'count?size={i * 2000}')['count'], i)
        self.assertEqual(self.browser.get('show')['count'], 29)

    def test_cycle_key_keeps_the_data_under_a_new_key(self):
        self.browser.login()
        before = self.browser.get('count')['key']
        after = self.browser.get('cycle')['key']
        self.assertNotEqual(before, after)
        self.assertEqual(self.browser.get('show'), {'key': after, 'user': 'ada', 'count': 1})

    def test_expiry_logs_out(self):
        self.browser.login()
        self.browser.get('expire?seconds=1')
        late = Browser(self.site, stolen=self.browser.session_key())
        until(lambda: late.get('show')['user'] == '', 5, 'the end of the session')

    def test_flush(self):
        self.browser.login()
        self.browser.get('flush')
        self.assertEqual(self.browser.get('show'), {'key': None, 'user': '', 'count': 0})

    def test_many_users_at_once(self):
        def work(_):
            mine = Browser(self.site)
            mine.login()
            for i in range(1, 11):
                self.assertEqual(mine.get('count')['count'], i)
            return mine.get('show')['key']
        self.assertEqual(len(set(in_threads(8, work, 50))), 8)


class OnRedis(DjangoSite, ClientTest):
    backend = REDIS

    def test_visible_with_redis_cli(self):
        self.browser.login()

        def cli(*command):
            return output('redis-cli', '-h', HOST, '-p', str(PEER.redis_port), '-n', '1', *command).strip()
        key = ':1:django.contrib.sessions.cache' + self.browser.session_key()
        self.assertIn(key, cli('KEYS', ':1:django.contrib.sessions.cache*').splitlines())
        self.assertTrue(1209500 < int(cli('TTL', key)) <= 1209600)
        self.assertIn('_auth_user_id', cli('GET', key))


class OnMemcached(DjangoSite, ClientTest):
    backend = PYMEMCACHE


if __name__ == '__main__':
    main()
