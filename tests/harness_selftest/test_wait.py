"""Waiting is for a condition and ends with a message."""

import pytest

from tests.harness.wait import until, until_async


def test_until_returns_the_first_true_value() -> None:
    """Values that are not true yet are asked again."""
    values = iter([0, None, "there"])
    assert until(lambda: next(values)) == "there"


def test_until_gives_up_with_the_message() -> None:
    """The message says what was waited for."""
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: a bus"):
        until(lambda: False, timeout=0.02, message="a bus")


async def test_until_async_takes_functions_and_coroutines() -> None:
    """Both kinds of condition are waited for, without blocking the loop."""
    values = iter([False, True, False, True])

    async def condition() -> bool:
        return next(values)

    assert await until_async(condition)
    assert await until_async(lambda: next(values))
    with pytest.raises(AssertionError, match="a train"):
        await until_async(lambda: False, timeout=0.02, message="a train")
