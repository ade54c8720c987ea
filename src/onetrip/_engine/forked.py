"""What a forked child does with the connections of its parent: nothing, whatever it does.

Both processes hold the same sockets, and a word of the child's would end the parent's transaction: the ROLLBACK of a
block that the child leaves, the farewell of a connection that its garbage collector closes. So the child keeps the
objects, and has each socket's number lead to a dead end instead; the parent's own number is not touched by that.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

    from onetrip._engine.runtime import Runtime

runtimes: WeakSet[Runtime] = WeakSet()
"""Every Database of this process; each starts anew in a child."""
connected: WeakSet[ConnectionPoolEntry] = WeakSet()
"""Every pooled connection of this process, in use or not."""


def _number(connection: Any) -> int:
    """Return the file descriptor of a driver's connection, -1 for one that is closed."""
    if hasattr(connection, "fileno"):
        try:
            return int(connection.fileno())
        except Exception:  # noqa: BLE001  each driver has its own way to say that there is none
            return -1
    found = connection._transport and connection._transport.get_extra_info("socket")  # noqa: SLF001  asyncpg
    return found.fileno() if found else -1


def _in_child() -> None:
    here, there = socket.socketpair()
    there.close()
    with here:
        for entry in list(connected):
            if entry.dbapi_connection is not None and (number := _number(entry.driver_connection)) >= 0:
                os.dup2(here.fileno(), number, inheritable=False)
    connected.clear()
    for runtime in list(runtimes):
        runtime.start_anew()


os.register_at_fork(after_in_child=_in_child)
