"""Transactions on one connection, in any order and with any ending: none is seen by the next."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from onetrip import errors
from tests.contract.attack.arena import IDENTITY, NAMES, ODD_ROLES, PRESET, Seen, assert_at_rest, seen, values
from tests.contract.attack.doors import DIRECT, OFF_SJIS, POOLED, attacks, through
from tests.contract.face import Face

REST = {name: {None, ""} for name in NAMES} | {PRESET: {"before"}}


class Interrupted(Exception):
    """Be the application's own exception."""


@dataclass(frozen=True)
class Step:
    """One use of the connection: how it is opened, for whom, and how it ends."""

    how: str
    ending: str
    role: str | None
    local: dict[str, str]

    @property
    def options(self) -> dict[str, Any]:
        return {"role": self.role, "local": self.local}

    def check(self, row: Any) -> None:
        """Compare what the server saw with what was asked for."""
        now: Seen = seen(row)
        assert now.user == (self.role or "app")
        for name, rest in REST.items():
            assert now.settings[name] in ({self.local[name]} if name in self.local else rest)


steps = st.builds(
    Step,
    how=st.sampled_from(["transaction", "read", "run", "fetch_one", "execute"]),
    ending=st.sampled_from(
        ["well", "error", "exception", "savepoint", "rolled back, and on", "committed, and on", "cut off"]
    ),
    role=st.sampled_from([None, None, *ODD_ROLES]),
    local=st.dictionaries(st.sampled_from([*NAMES, PRESET]), values),
)


async def play(db: Face, step: Step, sleeping: Callable[[], None]) -> None:
    """Do what the step says; ``sleeping`` is called before a statement that is to be cut off."""
    if step.how == "fetch_one":
        step.check(await db.fetch_one(IDENTITY, **step.options))
    elif step.how == "execute":
        step.check((await db.execute(IDENTITY, **step.options)).rows[0])
    elif step.how == "run":
        await db.run(lambda session: inside(session, step, sleeping), **step.options)
    else:
        async with getattr(db, step.how)(**step.options) as session:
            await inside(session, step, sleeping)


async def inside(session: Any, step: Step, sleeping: Callable[[], None]) -> None:
    """Look around, then come to the ending."""

    async def run(statement: str) -> None:
        await session.exec(text(statement))

    async def look() -> None:
        step.check((await session.exec(IDENTITY)).one())

    await look()
    match step.ending:
        case "error":
            await run("SELECT 1/0")
        case "exception":
            raise Interrupted
        case "savepoint":
            await run("SAVEPOINT before")
            await run("SELECT set_config('app.user', 'inner', true)")
            await run("ROLLBACK TO before")
            await look()
        case "rolled back, and on":
            await session.rollback()
            await look()
        case "committed, and on":
            await session.commit()
            await look()
        case "cut off":
            sleeping()
            await run("SET LOCAL statement_timeout = 20")
            await run("SELECT pg_sleep(60)")


ERRORS = {"error": errors.InvalidData, "exception": Interrupted, "cut off": errors.StatementTimeout}


async def live_through(db: Face, step: Step) -> None:
    """Play a step to its ending, whatever that is; an asyncio task is cut off by its cancellation."""
    if step.how in {"fetch_one", "execute"} or step.ending not in ERRORS:
        await play(db, step, lambda: None)
    elif step.ending == "cut off" and not db.blocking:
        sleeping = asyncio.Event()
        task = asyncio.ensure_future(play(db, step, sleeping.set))
        task.add_done_callback(lambda _: sleeping.set())
        await sleeping.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(ERRORS[step.ending]):
            await play(db, step, lambda: None)


async def tell(db: Face, other: Face, story: list[Step]) -> None:
    """Let the steps happen one after the other, each followed by somebody else's look."""
    for number, step in enumerate(story):
        await live_through(db if number % 2 else other, step)
        await assert_at_rest(other if number % 2 else db)


@through(OFF_SJIS, POOLED)
@attacks(4)
@given(story=st.lists(steps, min_size=3, max_size=8))
async def test_no_story_leaves_anything_behind(db: Face, other: Face, story: list[Step]) -> None:
    """After errors, rollbacks, savepoints and cancellations alike the next user starts as the login role."""
    await tell(db, other, story)


@pytest.mark.slow
@through(DIRECT, OFF_SJIS, POOLED)
@attacks(25)
@given(story=st.lists(steps, min_size=5, max_size=25))
async def test_no_long_story_leaves_anything_behind(db: Face, other: Face, story: list[Step]) -> None:
    """The same, longer."""
    await tell(db, other, story)
