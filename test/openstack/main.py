"""What a run looks at (see run): parts, of which PART:WORDS is what has these words in its name. Each part writes what it found to
out/SUITE/PART.json; report.py makes the report in docs of all when there are all, so that one part can be run again.

Read first world.py, which has the servers that keep state, then one of keystone.py, horizon.py, ceilometer.py, sessions.py, tokens.py,
move.py: each says what it does with a service, and what it finds.
"""

import json
import os
import shutil
import signal
import sys
import time

import report
import world
from world import say


PARTS = ['keystone', 'horizon', 'ceilometer', 'sessions', 'tokens', 'move']


def found_in(part):
    """The file of what a part found last. A quick run's are apart: nothing in the report is of one."""
    return os.path.join(world.OUT, part + ('-quick.json' if world.QUICK else '.json'))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = sys.argv[1:] or PARTS
    unknown = {w.partition(':')[0] for w in wanted} - set(PARTS)
    if unknown:
        raise SystemExit(f'there is no part {", ".join(unknown)}; the parts are {", ".join(PARTS)}')
    os.makedirs(world.OUT, exist_ok=True)
    try:
        for name in wanted:
            name, _, world.ONLY = name.partition(':')
            began = time.monotonic()
            say(f'== {name}')
            found = __import__(name).part()
            if not world.ONLY:
                with open(found_in(name), 'w') as f:
                    json.dump(found, f, indent=1)
            say(f'== {name}: {time.monotonic() - began:.0f} s')
    finally:
        for logs in [world.LOGS, '/var/log/keystone']:
            shutil.copytree(logs, os.path.join(world.OUT, 'logs'), dirs_exist_ok=True)
    if all(os.path.exists(found_in(part)) for part in PARTS):
        report.write({part: found_in(part) for part in PARTS}, report.REPORT)


if __name__ == '__main__':
    main()
