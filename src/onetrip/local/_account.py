"""Which system user the server runs as: oneself, or ``nobody`` for root, as PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from onetrip.errors import ConfigurationError

ROOTS_OWN = Path("/var/lib/onetrip")


class RunAs(TypedDict, total=False):
    """The arguments of ``subprocess`` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The system user of the server processes and owner of the database files."""

    name: str
    uid: int
    gid: int
    borrowed: bool
    """True where we are root and the server runs as somebody else."""

    @property
    def run_as(self) -> RunAs:
        """Return what ``subprocess`` needs to start a process of this user."""
        return RunAs(user=self.uid, group=self.gid, extra_groups=[]) if self.borrowed else RunAs()


def server_account() -> Account:
    """Return the user that the server runs as; raise ConfigurationError if root has no ``nobody`` to lend from.

    initdb looks its user up in the password database, so a bare number would not do.
    """
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError as error:
            raise ConfigurationError(
                "PostgreSQL refuses to run as root, and this system has no user 'nobody' to run it as",
                hint="run as another user, or set DATABASE_URL to a server of your own",
            ) from error
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, borrowed=True)
    return Account(_own_name(), os.geteuid(), os.getegid(), borrowed=False)


def roots_own() -> Path:
    """Return the folder of root's servers, made if need be; others may pass through it and not list it."""
    ROOTS_OWN.mkdir(mode=0o711, exist_ok=True)
    ROOTS_OWN.chmod(0o711)
    return ROOTS_OWN


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise ConfigurationError(
            f"user id {os.geteuid()} has no entry in the password database, and initdb needs one",
            hint="add the user to /etc/passwd of this system or container, or set DATABASE_URL to a server of your own",
        ) from error
