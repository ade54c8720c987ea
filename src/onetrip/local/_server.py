"""One embedded PostgreSQL server and the right to use it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from onetrip.errors import LocalServerFailed
from onetrip.local import _locks, _postmaster
from onetrip.local._binaries import programs_for
from onetrip.local._cluster import DATABASE, OWNER, SUPERUSER, Keys, read_keys, ready_cluster
from onetrip.local._folder import folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a server without connecting to it; holds no secret."""

    running: bool
    pinned: bool
    """True if it runs until ``stop``; False if it ends with its last user."""
    folder: Path
    user: str
    uid: int
    """The system user that the server processes run as; ``nobody`` for root."""
    pid: int | None
    port: int | None
    socket: Path | None
    """The folder of the Unix socket."""
    version: str | None
    """PostgreSQL's major version."""
    size: int
    """Bytes on disk."""

    def __str__(self) -> str:
        whose = f"user {self.user} ({self.uid}), data in {self.folder} ({self.size / 1e6:.0f} MB)"
        if not self.running:
            return f"not running: {whose}"
        until = "onetrip local stop" if self.pinned else "its last user ends"
        return (
            f"PostgreSQL {self.version} on 127.0.0.1:{self.port}, socket in {self.socket}, process {self.pid}, "
            f"{whose}, until {until}"
        )


class LocalServer:
    """Share the embedded server of a folder with every process that uses it.

    The server starts with its first user and ends with its last, however that one ends; the kernel counts them.
    *settings* are server settings, such as ``{"fsync": "off"}`` for a server that is thrown away; they take effect if
    this object starts the server. An explicit *folder* must be new, empty or made by onetrip.
    """

    def __init__(self, folder: Path | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder_of(folder)
        self._settings = dict(settings or {})
        self._mutex = threading.RLock()
        self._user: int | None = None

    def __repr__(self) -> str:
        return f"LocalServer({str(self.folder)!r})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def folder(self) -> Path:
        """Return where everything of this server is kept."""
        return self._folder.path

    def start(self, *, pin: bool = False) -> bool:
        """Become a user of the server and start it unless it runs; return True if this call started it.

        With *pin* it runs until ``stop``. Raise ConfigurationError if the wheel or the folder cannot be used and
        LocalServerFailed if the server does not come up within 60 s.
        """
        with self._mutex:
            self._folder.prepare()
            with _locks.alone(self._folder.lock):
                newcomer = self._user is None
                self._user = self._user if self._user is not None else _locks.share(self._folder.users)
                try:
                    return self._start(pin=pin)
                except BaseException:
                    if newcomer:
                        self._leave()
                    raise

    def release(self) -> None:
        """Cease to be a user; if it was the last one and the server is not pinned, return when the server has ended."""
        with self._mutex:
            if self._user is None:
                return
            self._leave()
            if not self._folder.lock.exists():
                return
            with _locks.alone(self._folder.lock):
                if not self._folder.pinned.exists() and _locks.is_unshared(self._folder.users):
                    _postmaster.end(self._folder)

    def stop(self) -> bool:
        """End the server for all its users; return False if it did not run, raise LocalServerFailed if it stays."""
        with self._mutex:
            self._leave()
            self._folder.refuse_stranger()
            if not self._folder.lock.exists():
                return False
            with _locks.alone(self._folder.lock):
                self._folder.pinned.unlink(missing_ok=True)
                ran = _postmaster.pid(self._folder) is not None
                _postmaster.end(self._folder)
                return ran

    def status(self) -> Status:
        """Look at the server, changing nothing."""
        folder = self._folder
        folder.refuse_stranger()
        pid = _postmaster.pid(folder)
        keys = read_keys(folder)
        version = folder.data / "PG_VERSION"
        return Status(
            running=pid is not None,
            pinned=folder.pinned.exists(),
            folder=folder.path,
            user=folder.account.name,
            uid=folder.account.uid,
            pid=pid,
            port=keys.port if keys else None,
            socket=folder.socket if pid is not None else None,
            version=version.read_text().strip() if version.exists() else None,
            size=_size(folder.path),
        )

    def url(self, database: str = DATABASE, *, superuser: bool = False) -> str:
        """Return the URL of a running server, password included; raise LocalServerFailed if it does not run.

        The application's role owns the database ``app`` and may create databases and roles; it is no superuser, as
        it would not be on a provider's server either.
        """
        keys = self._running_keys()
        user, password = (SUPERUSER, keys.superuser_password) if superuser else (OWNER, keys.password)
        return f"postgresql://{user}:{password}@127.0.0.1:{keys.port}/{quote(database, safe='')}"

    def outlive_exec(self) -> None:
        """Let the program that this process turns into by exec go on being a user."""
        if self._user is not None:
            os.set_inheritable(self._user, True)  # noqa: FBT003 - the standard library's signature

    def _running_keys(self) -> Keys:
        self._folder.refuse_stranger()
        keys = read_keys(self._folder)
        if keys is None or _postmaster.pid(self._folder) is None:
            raise LocalServerFailed(f"no server is running in {self.folder}", hint="onetrip local start")
        return keys

    def _start(self, *, pin: bool) -> bool:
        folder = self._folder
        running = _postmaster.pid(folder)
        # What a killed postmaster or start left behind needs a moment to end; a live server holds the lock for good.
        alive = _locks.seize(folder.alive, 0.0 if running else 10.0)
        if alive is None:
            if running is None:
                raise LocalServerFailed(
                    f"processes of a killed server in {folder.path} are still there",
                    hint=f"see which: fuser {folder.alive}",
                )
            if pin:
                folder.pinned.touch()
            return False
        try:
            if running is not None:
                raise LocalServerFailed(
                    f"the server in {folder.path} (process {running}) was not started by onetrip",
                    hint=f"kill -INT {running}",
                )
            _postmaster.forget_the_dead(folder)
            programs = programs_for(folder.account)
            keys = ready_cluster(folder, programs, alive)
            if pin:
                folder.pinned.touch()
            else:
                folder.pinned.unlink(missing_ok=True)
            _postmaster.launch(folder, programs, keys.port, alive, self._settings)
        finally:
            os.close(alive)
        _postmaster.await_ready(folder)
        return True

    def _leave(self) -> None:
        if self._user is not None:
            os.close(self._user)
            self._user = None


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(where, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
