"""Where the server of a project lives.

A user's server lives in ``.onetrip`` of the current folder, mode 0700. Root's lives in ``/var/lib/onetrip/<hash of the
current folder>``, because ``nobody`` cannot enter most of root's folders and we open none of them; that one is 0710
with the group of ``nobody``: root's locks and passwords stay root's, only the database files belong to ``nobody``.
``ONETRIP_LOCAL_DIR`` names another folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from onetrip.errors import ConfigurationError
from onetrip.local._account import ROOTS_OWN, Account, roots_own, server_account

_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True, slots=True)
class Folder:
    """The names of everything that one server keeps."""

    path: Path
    account: Account

    @property
    def data(self) -> Path:
        """The database cluster; appears whole, by a rename."""
        return self.path / "data"

    @property
    def lock(self) -> Path:
        """Held while a server is started or ended."""
        return self.path / "lock"

    @property
    def users(self) -> Path:
        """Shared by the processes that use the server."""
        return self.path / "users"

    @property
    def alive(self) -> Path:
        """Held by the server's processes."""
        return self.path / "alive"

    @property
    def pinned(self) -> Path:
        """Exists while the server is to outlive its users."""
        return self.path / "pinned"

    @property
    def keys(self) -> Path:
        """Port and passwords, mode 0600."""
        return self.path / "server.json"

    @property
    def hba(self) -> Path:
        """The rules of who may log in; ours, not the cluster's, so that no edit lets anybody in without a password."""
        return self.path / "pg_hba.conf"

    @property
    def log(self) -> Path:
        """What the server said since it was started; the run before is beside it."""
        return self.path / "server.log"

    @property
    def mark(self) -> str:
        """Twelve characters that stand for this folder where its path would be too long."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    @property
    def socket(self) -> Path:
        """The folder of the Unix socket: inside, or one in /tmp where the path is too long or lists hosts to libpq."""
        inside = self.path / "socket"
        if len(os.fsencode(inside / ".s.PGSQL.65535")) <= _SOCKET_PATH_BYTES and "," not in str(inside):
            return inside
        return Path("/tmp", f"onetrip-{self.account.uid}-{self.mark}")  # noqa: S108 - give() checks whose it is

    def prepare(self) -> None:
        """Create what is missing; raise ConfigurationError for a folder that is not ours or cannot be used."""
        try:
            self._create()
        except OSError as error:
            raise ConfigurationError(
                f"the data folder {self.path} cannot be used: {error.strerror}",
                hint="name another one in ONETRIP_LOCAL_DIR",
            ) from error

    def refuse_stranger(self) -> None:
        """Raise ConfigurationError if the folder exists and is somebody else's."""
        owner = self.path.stat().st_uid if self.path.exists() else os.geteuid()
        if owner != os.geteuid():
            raise ConfigurationError(
                f"the data folder {self.path} belongs to user id {owner}, this process runs as {os.geteuid()}",
                hint="run as that user, or name another folder in ONETRIP_LOCAL_DIR",
            )

    def give(self, path: Path, mode: int) -> None:
        """Create a folder for the server's user; raise ConfigurationError if somebody else has one there."""
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), self.account.uid}:
            raise ConfigurationError(
                f"{path} belongs to user id {found.st_uid}, not to {self.account.name}", hint="remove or rename it"
            )
        if self.account.borrowed:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)
        path.chmod(mode)

    def _create(self) -> None:
        if self.path.parent == ROOTS_OWN:
            roots_own()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.refuse_stranger()
        self._refuse_anything_else()
        if self.account.borrowed:
            self._refuse_unreachable()
            os.chown(self.path, 0, self.account.gid)
        self.path.chmod(0o710 if self.account.borrowed else 0o700)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    def _refuse_anything_else(self) -> None:
        """Refuse a home directory named by mistake: it must not be closed to others and hidden from git."""
        ours = self.path.name == ".onetrip" or self.path.parent == ROOTS_OWN or self.lock.exists()
        if not ours and any(entry.name != ".gitignore" for entry in self.path.iterdir()):
            raise ConfigurationError(
                f"the data folder {self.path} is not empty and was not made by onetrip",
                hint="name an empty or new folder in ONETRIP_LOCAL_DIR",
            )

    def _refuse_unreachable(self) -> None:
        for parent in self.path.parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                raise ConfigurationError(
                    f"root's server runs as {self.account.name}, who cannot enter {parent}, and we do not open it",
                    hint="leave ONETRIP_LOCAL_DIR unset, or name a folder that everybody can reach",
                )


def folder_of(path: Path | None = None) -> Folder:
    """Return the folder at *path*, or else the one of the current project."""
    account = server_account()
    named = path or os.environ.get("ONETRIP_LOCAL_DIR")
    if named:
        return Folder(Path(named).expanduser().resolve(), account)
    project = Path.cwd()
    if account.borrowed:
        return Folder(ROOTS_OWN / hashlib.sha256(os.fsencode(project)).hexdigest()[:12], account)
    return Folder((project / ".onetrip").resolve(), account)
