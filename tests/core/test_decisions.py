"""Decisions that take the clock and the dice as arguments."""

from hypothesis import given
from hypothesis import strategies as st

from onetrip import errors
from onetrip._core import backoff, preamble
from onetrip._core.deadline import Deadline, sooner
from onetrip._core.figures import percentiles

CONFLICT = errors.SerializationFailure("lost")


@given(attempt=st.integers(1, 4), dice=st.floats(0, 1, exclude_max=True))
def test_the_pause_is_jittered_and_bounded(attempt: int, dice: float) -> None:
    """Full jitter below a ceiling that doubles and ends at half a second."""
    pause = backoff.pause(CONFLICT, attempt, dice, None)
    assert pause is not None
    assert 0 <= pause <= min(backoff.LONGEST, backoff.FIRST * 2 ** (attempt - 1))


def test_only_a_conflict_is_repeated() -> None:
    """What may have happened, or will fail again, is not."""
    for error in (errors.CommitUnknown("?"), errors.ConnectionLost("?"), errors.UniqueViolation("?")):
        assert backoff.pause(error, 1, 0.5, None) is None


def test_no_pause_beyond_the_deadline() -> None:
    """There is no use in a retry that nobody waits for."""
    assert backoff.pause(CONFLICT, 4, 0.99, 0.001) is None
    assert backoff.pause(CONFLICT, 4, 0.99, 10) is not None


@given(limit=st.floats(0, 100), at=st.floats(-100, 100), now=st.floats(0, 100))
def test_a_wait_ends_at_the_sooner_of_two(limit: float, at: float, now: float) -> None:
    """Never later than either, never negative."""
    wait = sooner(limit, Deadline(at, 1), now)
    assert 0 <= wait <= limit
    assert wait <= max(0, at - now)
    assert sooner(limit, None, now) == limit


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=300))
def test_percentiles_are_values_in_order(values: list[float]) -> None:
    """Each is one of the values, and they grow."""
    found = percentiles(values)
    assert found.count == len(values)
    assert {found.p50, found.p95, found.p99, found.longest} <= set(values)
    assert found.p50 <= found.p95 <= found.p99 <= found.longest == max(values)


def test_the_role_comes_last() -> None:
    """It may not be allowed to change what is set before it."""
    built = preamble.build(role="app_user", local={"app.a": "1", "app.b": "2"}, statement_timeout=0.0004)
    assert [name for name, _ in built.settings] == ["statement_timeout", "app.a", "app.b", "role"]
    assert built.settings[0][1] == "1", "a time-out is at least a millisecond: zero would be none"


def test_isolation_is_spelt_freely() -> None:
    """``SERIALIZABLE`` and ``repeatable_read`` are understood."""
    assert preamble.build(isolation="SERIALIZABLE").isolation == "serializable"
    assert preamble.build(isolation="repeatable_read").isolation == "repeatable read"
