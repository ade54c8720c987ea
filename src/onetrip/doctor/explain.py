"""A pasted error text, explained: what happened, why, the next step, and whether trying again helps."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import errors as driver_errors

from onetrip import errors
from onetrip._core import classify
from onetrip.errors import DatabaseError, OnetripError, Phase, Retry


@dataclass(frozen=True, slots=True)
class Explained:
    """Explain one error; ``code`` is that of ``onetrip.errors`` where the tree has a class for it."""

    code: str
    what: str
    why: str
    step: str
    retry: Retry


def explain(text: str) -> Explained | None:
    """Explain an error that a user pastes, whoever wrote it; None where the text is unknown."""
    return _known(text) or _ours(text) or _classified(text)


def explain_connect(error: BaseException) -> Explained:
    """Explain why a connection could not be made; there is always an answer, if only a general one."""
    found = classify.facts(error)
    kind = classify.classify(found, Phase.CONNECT)
    special = _known(found.text)
    # The table speaks of all phases: while connecting, only where it agrees with the class.
    return special if special and special.code in {kind.code, "ipv6-only"} else _of_class(kind)


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(files("onetrip.doctor").joinpath("known.toml").read_text(encoding="utf-8"))


@cache
def _table() -> tuple[tuple[re.Pattern[str], Explained], ...]:
    return tuple(
        (
            re.compile(row["pattern"], re.IGNORECASE | re.DOTALL),
            Explained(row["code"], row["what"], row["why"], row["step"], Retry(row["retry"])),
        )
        for row in _read()["known"]
    )


def _known(text: str) -> Explained | None:
    return next((said for pattern, said in _table() if pattern.search(text)), None)


def _ours(text: str) -> Explained | None:
    """Explain a text that carries one of our codes in brackets, or is nothing but a code."""
    codes = {kind.code: kind for kind in _tree(OnetripError)}
    found = next((code for code in [*re.findall(r"\[([a-z-]+)\]", text), text.strip()] if code in codes), None)
    return _of_class(codes[found]) if found else None


def _classified(text: str) -> Explained | None:
    found = classify.Facts(RuntimeError(text), _sqlstate(text), None, text, frozenset(re.findall(r"\w+", text)))
    phases = (Phase.STATEMENT, Phase.CONNECT) if found.sqlstate else (Phase.CONNECT, Phase.STATEMENT)
    kinds = (classify.classify(found, phase) for phase in phases)
    kind = next((kind for kind in kinds if kind not in {DatabaseError, errors.ConnectFailed}), None)
    return _of_class(kind) if kind else None


def _sqlstate(text: str) -> str | None:
    """Find a SQLSTATE, written as one or as the class that a driver made of it."""
    if stated := re.search(r"(?:SQLSTATE\W{0,3}|sqlstate[\"']?[:=]\s*[\"']?|\bcode:?\s*[\"']?)([0-9A-Z]{5})\b", text):
        return stated[1]
    for name in re.findall(r"\b[A-Z]\w+", text):
        for spelt in (name, name.removesuffix("Error")):
            state = getattr(getattr(driver_errors, spelt, None), "sqlstate", None)
            if isinstance(state, str):
                return state
    return None


def _of_class(kind: type[OnetripError]) -> Explained:
    said = _read()["code"][kind.code]
    return Explained(kind.code, said["what"], said["why"], said["step"], getattr(kind, "retry", Retry.NO))


def _tree(kind: type[OnetripError]) -> Iterator[type[OnetripError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)
