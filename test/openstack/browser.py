"""A headless Chromium, driven by its own driver's W3C WebDriver protocol."""

import base64
import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request

from world import Process, accepts, until

PORT = 9515
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
         '--disable-sync', '--disable-dev-shm-usage', '--window-size=1300,850']


class Browser:
    """A context. It fails with a sentence where the page is not as expected."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp()
        self.driver = Process('chromedriver', 'chromedriver', f'--port={PORT}').await_(lambda: accepts('127.0.0.1', PORT))
        options = {'goog:chromeOptions': {'args': FLAGS + ['--user-data-dir=' + self.profile]}}
        self.session = '/session/' + self._call('POST', '/session', {'capabilities': {'alwaysMatch': options}})['sessionId']
        return self

    def __exit__(self, *_):
        self.driver.kill()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _call(self, method, path, body=None):
        r = urllib.request.Request(f'http://127.0.0.1:{PORT}{path}', method=method, headers={'Content-Type': 'application/json'},
                                   data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(r, timeout=180) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as e:
            raise SystemExit(f'Chromium: {method} {path}: {e.read()[:400]}') from None

    def _element(self, css):
        found = self._call('POST', self.session + '/element', {'using': 'css selector', 'value': css})
        return f'{self.session}/element/{list(found.values())[0]}'

    def go(self, url):
        self._call('POST', self.session + '/url', {'url': url})

    def url(self):
        return self._call('GET', self.session + '/url')

    def title(self):
        return self._call('GET', self.session + '/title')

    def count(self, css):
        return len(self._call('POST', self.session + '/elements', {'using': 'css selector', 'value': css}))

    def type(self, css, text):
        self._call('POST', self._element(css) + '/value', {'text': text})

    def click(self, css):
        self._call('POST', self._element(css) + '/click', {})

    def await_url(self, right, what):
        until(lambda: right(self.url()), 90, what)
        time.sleep(0.5)  # the page paints

    def shot(self, file):
        with open(file, 'wb') as f:
            f.write(base64.b64decode(self._call('GET', self.session + '/screenshot')))
