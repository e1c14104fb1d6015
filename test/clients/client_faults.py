"""Faults of the clients themselves, each shown without a server of either kind: a test leaves out what an installed client cannot do."""

import functools
import signal
import socket
import subprocess
import sys

from harness import HOST

FAULT_SECONDS = 10  # for a client to show its fault
GET = 'import pylibmc, sys; assert pylibmc.Client([sys.argv[1]]).get("k") == b""'


@functools.cache
def pylibmc_aborts_on_an_empty_value():
    """Why the installed pylibmc cannot be given an empty value; None if it can.

    libmemcached returns no pointer for it, and a pylibmc that was built with its assertions aborts. What it is sent here is what memcached sends.
    """
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(FAULT_SECONDS)
        child = subprocess.Popen([sys.executable, '-c', GET, f'{HOST}:{listener.getsockname()[1]}'], stderr=subprocess.DEVNULL)
        try:
            connection = listener.accept()[0]
            with connection, connection.makefile('rb') as lines:
                lines.readline()
                connection.sendall(b'VALUE k 0 0\r\n\r\nEND\r\n')
                status = child.wait(FAULT_SECONDS)
        finally:
            child.kill()
            child.wait()
    if status == -signal.SIGABRT:
        return 'this pylibmc aborts when a value is empty, whatever server it is from: github.com/lericson/pylibmc/issues/291'
    if status != 0:
        raise AssertionError(f'pylibmc, given an empty value, exited with {status}')
    return None
