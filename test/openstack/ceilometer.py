"""Three polling agents of Ceilometer that share the work by tooz, while one of them, or a server, dies.

Everything is Ceilometer's but the pollster, which notes what the agent was given, and the discovery, which finds what is on a list: there is
no cloud here that the others could discover and measure, and nothing else is in the way between tooz and the polls.
"""

import json
import os
import sysconfig
import time

import world
from world import Holdfast, Process, directory, say, until

AGENTS = 3
RESOURCES = [f'resource{i:02}' for i in range(60)]
INTERVAL = 2.0  # seconds between two polls of an agent
TWICE = 0.5 * INTERVAL  # two polls of one resource within this are one too many
NEVER = 2.5 * INTERVAL  # a resource that nobody polled for so long was forgotten; the processor is shared
CALM = 10 if world.QUICK else 30  # seconds of watching that nothing is wrong
WATCH = 15 if world.QUICK else 30  # seconds of watching what a death did
WATCH_AGENT = 60  # tooz takes an agent for dead after 30 s without its heartbeat

PROBE = '''import json, os, time
from ceilometer import sample
from ceilometer.polling import plugin_base

class Everything(plugin_base.DiscoveryBase):
    def discover(self, manager, param=None):
        return {resources}

class Probe(plugin_base.PollsterBase):
    default_discovery = 'everything'

    def get_samples(self, manager, cache, resources):
        with open('{polls}', 'a') as f:
            f.write(json.dumps({{'t': time.time(), 'agent': int(os.environ['AGENT']), 'resources': resources}}) + '\\n')
        for r in resources:
            yield sample.Sample(name='probe', type=sample.TYPE_GAUGE, unit='x', volume=1, user_id=None, project_id=None, resource_id=r)
'''

# [coordination] of the agent on controller i.
PRINTED = 'as holdfast config prints it'
URLS = {
    'redis://, the member beside it': lambda servers, i: f'[coordination]\nbackend_url = redis://{servers.redis(i)}',
    PRINTED: lambda servers, i: world.printed('ceilometer', i),
}


class Agents:
    """The three agents, one on each controller. A context."""

    def __init__(self, url, servers):
        self.directory = directory('ceilometer')
        self.polls_file = os.path.join(self.directory, 'polls')
        open(self.polls_file, 'w').close()
        packages = sysconfig.get_path('purelib', 'deb_system' if 'deb_system' in sysconfig.get_scheme_names() else 'posix_prefix')
        information = os.path.join(packages, 'holdfast_probe-1.0.dist-info')
        os.makedirs(information, exist_ok=True)
        for path, text in [(os.path.join(packages, 'holdfast_probe.py'), PROBE.format(polls=self.polls_file, resources=RESOURCES)),
                           (os.path.join(information, 'METADATA'), 'Metadata-Version: 2.1\nName: holdfast-probe\nVersion: 1.0\n'),
                           (os.path.join(information, 'entry_points.txt'), '[ceilometer.poll.central]\nprobe = holdfast_probe:Probe\n'
                            '[ceilometer.discover.central]\neverything = holdfast_probe:Everything\n'),
                           (os.path.join(self.directory, 'polling.yaml'), f'sources: [{{name: probe, interval: {INTERVAL:.0f}, meters: [probe]}}]\n')]:
            with open(path, 'w') as f:
                f.write(text)
        self.urls = [URLS[url](servers, i) for i in range(AGENTS)]
        self.processes = [None] * AGENTS

    def start(self, i):
        conf = os.path.join(self.directory, f'agent{i}.conf')
        with open(conf, 'w') as f:
            f.write(f'''[DEFAULT]
transport_url = fake://
{self.urls[i]}
[polling]
cfg_file = {self.directory}/polling.yaml
[publisher_notifier]
telemetry_driver = noop
''')
        self.processes[i] = Process(f'agent{i + 1}', 'ceilometer-polling', '--config-file', conf, '--polling-namespaces', 'central', env={'AGENT': str(i)})

    def __enter__(self):
        # One after the other: of agents that join within the same few milliseconds tooz may leave one out of another's ring for good (it reads the
        # members twice, and who joined in between is taken for known), with Redis as with Holdfast.
        for i in range(AGENTS):
            self.start(i)
            until(lambda: any(p['agent'] == i for p in self.polls()), 60, f'a poll of agent {i + 1}')
        until(lambda: self.complete(0), 180, 'a complete partition')
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()

    def polls(self):
        with open(self.polls_file) as f:
            return [json.loads(line) for line in f if line.endswith('\n')]

    def up(self):
        return {i for i, p in enumerate(self.processes) if p.running()}

    def complete(self, since):
        """Whether, after that time, the last polls of the agents that live were a partition of all resources."""
        last = {p['agent']: p for p in self.polls() if p['t'] > since}
        if set(last) != self.up():
            return False
        given = [name for p in last.values() for name in p['resources']]
        return len(given) == len(set(given)) == len(RESOURCES)

    def shares(self):
        last = {p['agent']: len(p['resources']) for p in self.polls()}
        return [last.get(i, 0) for i in sorted(self.up())]

    def faults(self, begin, end):
        """What was not as it should be in a time: (resource, 'twice' or 'never', when that was over, seconds between the two polls)."""
        times = {}
        for p in self.polls():
            if begin - NEVER < p['t'] < end:
                for name in p['resources']:
                    times.setdefault(name, []).append(p['t'])
        found = []
        for name, polled in times.items():
            for a, b in zip(sorted(polled), sorted(polled)[1:] + [end]):
                if b > begin and (b - a > NEVER or (b - a < TWICE and b < end)):
                    found.append((name, 'twice' if b - a < TWICE else 'never', b, b - a))
        return found


def disturb(agents, what, act, watch):
    """What an act did to the partition, by what was seen for CALM seconds before and some seconds after."""
    time.sleep(NEVER + CALM)  # what was done for this act may have left a trace
    began = time.time()
    before = agents.faults(began - CALM, began)
    act()
    time.sleep(watch)
    faults = agents.faults(began, time.time())
    kinds = [kind for _, kind, _, _ in faults]
    return {'what': what, 'wrong before': len(before), 'seconds': round(max([at - began for _, _, at, _ in faults], default=0), 1),
            'resources': len({name for name, *_ in faults}), 'twice': kinds.count('twice'), 'never': kinds.count('never'),
            'longest gap': round(max([gap for *_, gap in faults], default=0), 1), 'complete': agents.complete(time.time() - NEVER),
            'shares': agents.shares(), 'running': len(agents.up())}


def part():
    rows = []
    for url in world.chosen(URLS):
        with Holdfast() as servers, Agents(url, servers) as agents:
            say(f'{url}: shares', agents.shares())
            for row in faults_of(servers, agents, url):
                say('  ', row)
                rows.append({'url': url, **row})
    return rows


def faults_of(servers, agents, url):
    servers.lead(0)
    yield disturb(agents, f'a member that follows is killed, and started again after {world.RESTART} s', lambda: servers.crash(1), WATCH)
    servers.mend()
    servers.lead(0)
    yield disturb(agents, f'the leader is killed, and started again after {world.RESTART} s', lambda: servers.crash(0), WATCH)
    servers.mend()
    if url == PRINTED:
        servers.lead(0)
        yield disturb(agents, 'the leader is killed', lambda: servers.kill(0), WATCH)
        servers.mend()
    yield disturb(agents, 'an agent is killed (kill -9)', agents.processes[2].kill, WATCH_AGENT)
    yield disturb(agents, 'an agent is stopped (SIGTERM)', agents.processes[1].stop, WATCH)
