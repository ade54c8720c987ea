"""What every error carries."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Phase(StrEnum):
    """Where in the life of a transaction something failed."""

    CHECKOUT = "checkout"
    CONNECT = "connect"
    STATEMENT = "statement"
    COMMIT = "commit"


class Retry(StrEnum):
    """Whether the same unit of work may be tried again."""

    NO = "no"
    """It fails again until something is changed."""
    YES = "yes"
    """Nothing of it happened; the whole transaction may be repeated at once."""
    LATER = "later"
    """Nothing of it happened; repeat it after a pause."""
    UNKNOWN = "unknown"
    """It may have happened; look before you repeat."""


class OnetripError(Exception):
    """The root of the tree: catch it to catch all of ours."""

    code: ClassVar[str] = "onetrip"
    hint: str | None = None

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + (f"\n  → {self.hint}" if self.hint else "")

    @property
    def line(self) -> str:
        """Return the whole of it in one line, for a command's last words."""
        return self.what + (f" → {self.hint}" if self.hint else "") + f" [{self.code}]"


class ConfigurationError(OnetripError):
    """Say which setting, URL or call is wrong and what to write instead; nothing was sent."""

    code = "configuration"


class UnsafeUse(ConfigurationError):
    """Refuse a use that would break a promise, and name the line to change."""

    code = "unsafe-use"


class LocalServerFailed(OnetripError):
    """Report an embedded server that could not be made, started or stopped; its data folder is named."""

    code = "local-server"


class DatabaseError(OnetripError):
    """Carry what failed, where, and what may be done; the driver's own exception is ``__cause__``."""

    code = "database-error"
    http_status: ClassVar[int] = 500
    retry: Retry = Retry.NO
    phase: Phase = Phase.STATEMENT

    def __init__(
        self,
        what: str,
        *,
        phase: Phase | None = None,
        sqlstate: str | None = None,
        retry: Retry | None = None,
        hint: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(what, hint=hint)
        self.sqlstate = sqlstate
        self.constraint = constraint
        if phase is not None:
            self.phase = phase
        if retry is not None:
            self.retry = retry
