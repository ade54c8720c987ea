"""A server that this machine does not have: a skip for a user, a failure in CI."""

import os
from collections.abc import Callable
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")


def in_ci() -> bool:
    """Say whether every server has to be here."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(what: str, install: str) -> NoReturn:
    """Skip the test and print the line that installs ``what``; where CI is set, fail instead."""
    reason = f"{what} is not on this machine: {install}"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def absent(find: Callable[[], T]) -> T | None:
    """Return what ``find`` finds, or None where this machine does not have it."""
    try:
        return find()
    except (pytest.skip.Exception, pytest.fail.Exception):
        return None
