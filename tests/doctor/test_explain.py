"""A pasted error is explained by what it means, whoever wrote it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from onetrip import errors
from onetrip.doctor import explain
from onetrip.doctor.explain import explain_connect
from onetrip.errors import OnetripError, Retry

TEXTS = tomllib.loads((Path(__file__).parent / "texts.toml").read_text())
PAIRS = [(code, text) for code, row in TEXTS.items() for text in row["texts"]]


def tree(kind: type[OnetripError]) -> Iterator[type[OnetripError]]:
    """Yield a class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize(("code", "text"), PAIRS, ids=lambda value: value[:40])
def test_texts_that_users_paste(code: str, text: str) -> None:
    """Each has its code, what happened, why, a next step and a verdict."""
    said = explain(text)
    assert said is not None
    assert said.code == code
    assert said.what
    assert said.why
    assert said.step
    assert said.retry in Retry


def test_there_are_enough_of_them() -> None:
    """The promise was forty."""
    assert len(PAIRS) >= 40


@pytest.mark.parametrize("kind", sorted(tree(OnetripError), key=lambda kind: kind.code), ids=lambda kind: kind.code)
def test_every_code_of_ours_is_explained(kind: type[OnetripError]) -> None:
    """What our own errors print can be pasted back, whole or its code alone, and the verdict is the class's."""
    for text in (f"something happened [{kind.code}]", f" {kind.code}\n"):
        said = explain(text)
        assert said is not None
        assert said.code == kind.code
        assert said.retry == getattr(kind, "retry", Retry.NO)


@pytest.mark.parametrize("text", ["", "hello", "ValueError: x must be positive", "[tool.ruff] [unknown-code]"])
def test_an_unknown_text_is_not_guessed_at(text: str) -> None:
    """What is not known is said to be unknown."""
    assert explain(text) is None


def test_a_connection_always_has_an_explanation() -> None:
    """Even if the words are new: then it is a general one."""
    assert explain_connect(psycopg.OperationalError("something new")).code == errors.ConnectFailed.code


def test_a_retry_is_only_promised_where_it_is_safe() -> None:
    """A lost COMMIT must not be repeated blindly, a full quota not at all."""
    for code, verdict in {"commit-unknown": Retry.UNKNOWN, "quota-exceeded": Retry.NO, "stale-plan": Retry.YES}.items():
        said = explain(f"[{code}]")
        assert said is not None
        assert said.retry is verdict
