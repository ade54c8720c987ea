"""Locks that the kernel gives back when their holder dies, however it dies.

Three of them make the life cycle, so that no pid, counter or time stamp has to be believed:

``lock``   exclusive, held for the moment in which a server is started or ended
``users``  shared, held by each process that uses the server, for as long as it lives
``alive``  exclusive, inherited by the postmaster and each of its backends: free means that none is left
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onetrip.errors import LocalServerFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 90.0
_PAUSE = 0.005


def share(path: Path) -> int:
    """Return a descriptor that holds the lock together with others until it is closed."""
    descriptor = _open(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def seize(path: Path, patience: float = 0.0) -> int | None:
    """Return a descriptor that holds the lock alone, or None if it was not free within *patience* seconds."""
    descriptor = _open(path)
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                os.close(descriptor)
                return None
            time.sleep(_PAUSE)
        else:
            return descriptor


def is_free(path: Path, patience: float = 0.0) -> bool:
    """Say whether nobody holds the lock, at the latest after *patience* seconds."""
    if not path.exists():
        return True
    descriptor = seize(path, patience)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def is_unshared(path: Path) -> bool:
    """Say whether nobody shares the lock; the caller holds ``lock``.

    The guard, woken by the last user's end, holds `users` alone for an instant before it queues for ``lock``: it is
    waited for, then asked again, as it is no user.
    """
    if is_free(path):
        return True
    os.close(share(path))
    return is_free(path)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock for the block; raise LocalServerFailed if another process kept it for 90 s."""
    descriptor = seize(path, _PATIENCE)
    if descriptor is None:
        raise LocalServerFailed(
            f"another process has been starting or stopping the server in {path.parent} for {_PATIENCE:.0f} s",
            hint=f"see who holds it: fuser {path}",
        )
    try:
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
