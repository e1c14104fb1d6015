"""Prints docs/clients.md: report.py VERSION DIRECTORY..., where each directory has the files name, versions, results of one Debian release."""

import collections
import os
import re
import sys

WORDS = ('ok', 'skip', 'FAIL')
HEAD = """# With which clients

Written by `make test-clients-next`; change it there ([test/clients](../test/clients/README.md), which says what each file proves). The same tests, with
clients as they come from Debian, of this release and of the next, on {version}.

## Versions
"""


class Release:
    """The run with one release's clients."""

    def __init__(self, directory):
        def content(name):
            with open(os.path.join(directory, name)) as f:
                return f.read()

        self.name = content('name').strip().removeprefix('Debian GNU/Linux ')
        self.versions = dict(re.findall(r'^(\S+) (\S+)$', content('versions'), re.M))
        results = content('results')
        if not re.search(r'^\d+ passed, \d+ failed', results, re.M):
            raise SystemExit(f'the tests with the clients of Debian {self.name} did not come to their end')
        self.tests = []  # of (word, file, name, why)
        for word, test, details in re.findall(r'^(ok|skip|FAIL) +(\S+).*\n((?: +.*\n)*)', results, re.M):
            file, _, name = test.partition('.')
            why = details.partition('     --- ')[0].strip().splitlines() or ['']  # a failure ends with its error; then come the servers' logs
            self.tests.append((word, file, name, why[-1].strip()))

    def counts(self, file=None):
        found = collections.Counter(word for word, of, _, _ in self.tests if file in (None, of))
        return [str(found[w]) for w in WORDS]


def table(head, rows):
    for row in (head, ['---'] * len(head), *rows):
        print('| ' + ' | '.join(row) + ' |')


def listed(releases, word):
    """One line for all tests of a file that ended with word for the same reason."""
    same = collections.defaultdict(list)
    for r in releases:
        for w, file, name, reason in r.tests:
            if w == word:
                same[r.name, file, reason].append(name)
    for (release, file, reason), names in same.items():
        shown = f'{len(names)} tests of ' + ', '.join(sorted({n.partition('.')[0] for n in names})) if len(names) > 3 else ', '.join(names)
        print(f'- Debian {release}, `{file}`, {shown}: {reason}')
    if not same:
        print('None.')


def main():
    releases = [Release(d) for d in sys.argv[2:]]
    print(HEAD.format(version=sys.argv[1]))
    packages = sorted({p for r in releases for p in r.versions})
    table(['package'] + [f'Debian {r.name}' for r in releases], ([p] + [r.versions.get(p, 'not there') for r in releases] for p in packages))
    print('\n## Results\n')
    files = sorted({file for r in releases for _, file, _, _ in r.tests})
    table(['file'] + [f'{r.name}: {what}' for r in releases for what in ('passed', 'skipped', 'failed')],
          [[f'`{file}`'] + [n for r in releases for n in r.counts(file)] for file in files] +
          [['**all**'] + [f'**{n}**' for r in releases for n in r.counts()]])
    print('\n### Failed\n')
    listed(releases, 'FAIL')
    print('\n### Skipped\n')
    listed(releases, 'skip')


main()
