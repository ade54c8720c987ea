"""What doctor says: findings, each with the line to change, and the report they stand in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from onetrip._core.secrets import redact


class Level(StrEnum):
    """How a finding counts: one that is wrong makes the command exit with 1."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """Say what was found, why it matters and the exact line to change; ``code`` is stable, the words are not."""

    code: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""


class Outcome(StrEnum):
    """What became of one step on the way to the server."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Step:
    """Say how one step on the way went; ``seconds`` is None where it was not taken."""

    name: str
    outcome: Outcome
    said: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the whole answer; ``findings`` begin with what is wrong, its root first."""

    target: str
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    """Plain figures from the server, the probe and the certificate, as far as they could be learnt."""
    seconds: float

    @property
    def wrong(self) -> bool:
        """Say whether anything is wrong."""
        return any(finding.level is Level.WRONG for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain, masked data fit for JSON; the names of keys and codes are stable."""
        found = {"target": self.target, "verdict": "wrong" if self.wrong else "fine", "seconds": round(self.seconds, 3)}
        rest = {key: value for key, value in asdict(self).items() if key not in found}
        masked: dict[str, Any] = _masked(found | rest)
        return masked


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Put what is wrong first, then notes, then what is fine, each in the order in which it was found."""
    return tuple(sorted(findings, key=lambda finding: [*reversed(Level)].index(finding.level)))


def shown(text: str) -> str:
    """Mask secrets, and escape what could move a terminal's cursor or turn its text around: others wrote it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in redact(text))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value
