"""Start the postmaster, and end it after its last user.

This file runs by itself (``python -I -S _guard.py``), as parent of the postmaster, in a session of its own: a Ctrl-C
meant for the application does not reach it. It sleeps in the kernel until nobody holds the ``users`` lock any more, so
it costs no processor time, and a user who was killed counts as gone. It does without pathlib, whose import would double
the time that a start takes here.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress


def main() -> None:
    """Read the orders from stdin, leave the caller, guard."""
    orders = json.load(sys.stdin)
    if os.fork():
        os._exit(0)
    os.setsid()
    server = subprocess.Popen(  # noqa: S603 - our own list of arguments, no shell
        orders["argv"],
        stdin=subprocess.DEVNULL,
        env=orders["environment"],
        cwd="/",
        pass_fds=[orders["alive"]],
        **orders["run_as"],
    )
    os.close(orders["alive"])

    def server_ended(*_: object) -> None:
        if server.poll() is not None:
            sys.exit()

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    signal.signal(signal.SIGCHLD, server_ended)
    server_ended()
    try:
        guard(server, orders)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
            server.wait()
        if orders["passing"]:
            with suppress(OSError):
                os.rmdir(orders["passing"])  # noqa: PTH106


def guard(server: subprocess.Popen[bytes], orders: dict[str, str]) -> None:
    """Return when the server has ended, or nobody uses it and nobody can come, as the locks are ours."""
    while not os.path.exists(orders["pinned"]):  # noqa: PTH110
        os.close(locked(orders["users"], fcntl.LOCK_EX))
        # Newcomers take `users` while they hold `lock`: look again under it, or one of them would lose the server.
        changing = locked(orders["lock"], fcntl.LOCK_EX)
        with suppress(BlockingIOError):
            last = locked(orders["users"], fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.exists(orders["pinned"]):  # noqa: PTH110
                return
            os.close(last)
        os.close(changing)
    server.wait()


def locked(path: str, how: int) -> int:
    """Return a descriptor that holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


if __name__ == "__main__":
    main()
