"""A budget for trips: real ones, whatever driver makes them, and what travelled when they are too many."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from onetrip import AsyncDatabase, Database
from onetrip.testing._budget import TripBudget
from onetrip.testing._worker import Stage, Worker

from .conftest import Project
from .models import NAMES, Item
from .test_plugin import CONFTEST, MODELS


@pytest.fixture
def stage(worker: Worker, one_trip: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Be inside one counted test."""
    monkeypatch.setattr(worker, "_settings", worker._settings.model_copy(update={"one_trip": one_trip}))
    with worker.test((), committed=False, counted=True) as stage:
        yield stage


@pytest.fixture
def one_trip() -> bool:
    """Be over the stock dialects, whose trips do not change."""
    return False


@pytest.fixture
def trip_budget(stage: Stage) -> TripBudget:
    """Give what the fixture of that name gives."""
    assert stage.relay
    return TripBudget(stage.relay, one_trip=stage.one_trip)


def read(db: Database) -> None:
    """Run one statement in a session."""
    with db.read() as session:
        session.exec(NAMES).all()


@pytest.fixture(params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.slow)], scope="module")
def blocking_driver(request: pytest.FixtureRequest) -> str:
    """Count both blocking drivers."""
    return request.param


def test_what_is_within_the_budget_passes(db: Database, trip_budget: TripBudget) -> None:
    """The list of the trips is there after the block."""
    read(db)
    with trip_budget(3) as most, trip_budget(exactly=3) as flights:
        read(db)
    assert len(flights) == 3
    assert most == flights


def test_too_many_are_listed(db: Database, trip_budget: TripBudget) -> None:
    """The failure says what travelled, in order."""
    read(db)
    with pytest.raises(AssertionError) as failure, trip_budget(2):
        read(db)
    lines = str(failure.value).splitlines()
    assert lines[0] == "3 trips, at most 2 allowed:"
    assert "BEGIN" in lines[1]
    assert "kit_item" in lines[2]
    assert "connecting" not in str(failure.value)


def test_too_few_are_no_less_wrong(db: Database, trip_budget: TripBudget) -> None:
    """``exactly`` is exact."""
    with pytest.raises(AssertionError, match=r"^0 trips, exactly 1 allowed"), trip_budget(exactly=1):
        pass


def test_a_first_use_is_told_from_the_rest(db: Database, trip_budget: TripBudget) -> None:
    """What connecting cost is marked, and the way out is said."""
    with pytest.raises(AssertionError, match=r"Startup \(connecting\)[\s\S]*run the block once before"), trip_budget(1):
        read(db)


def test_one_limit_is_wanted(trip_budget: TripBudget) -> None:
    """Two limits, or none, are a mistake."""
    for arguments in ({}, {"most": 1, "exactly": 1}):
        with pytest.raises(TypeError, match="one limit"):
            trip_budget(**arguments).__enter__()


def test_an_error_of_the_block_comes_first(db: Database, trip_budget: TripBudget) -> None:
    """A block that fails is not counted: its own error leaves."""
    with pytest.raises(ZeroDivisionError), trip_budget(0):
        read(db)
        raise ZeroDivisionError


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_asynchronous_databases(
    worker: Worker, stage: Stage, trip_budget: TripBudget, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are counted, in one event loop after the other, and leave nothing open when a loop ends."""
    monkeypatch.setattr(stage, "_settings", stage._settings.model_copy(update={"driver": driver}))

    async def count(db: AsyncDatabase) -> None:
        async def add(name: str) -> None:
            async with db.transaction() as session:
                session.add(Item(name=name))

        await add("once")
        with trip_budget(exactly=3):
            await add("twice")
        await db.execute(text("DELETE FROM kit_item"))

    with stage.async_database() as db:
        for _ in range(2):
            asyncio.run(count(db))
        assert db.stats().idle == 0


@pytest.mark.parametrize("one_trip", [True])
def test_a_late_rollback_is_no_trip(db: Database, trip_budget: TripBudget) -> None:
    """Nobody waits for the ROLLBACK that leaves by itself."""
    read(db)
    with trip_budget(exactly=1):
        db.fetch_all(NAMES)


@pytest.mark.parametrize("driver", ["psycopg", pytest.param("asyncpg", marks=pytest.mark.slow)])
def test_the_fixture_in_a_project(project: Project, driver: str) -> None:
    """A route of an application is counted, too; the test sees real commits, and the next one none of them."""
    project.write(
        models=MODELS,
        conftest=CONFTEST,
        test_it="""
            import pytest
            from models import Thing, db as app_db
            from sqlmodel import select

            async def add():
                async with app_db.transaction() as session:
                    session.add(Thing())

            @pytest.mark.parametrize("time", [1, 2])
            async def test_counted(trip_budget, async_db, time):
                assert await async_db.fetch_all(select(Thing)) == []
                await add()
                with trip_budget(3):
                    await add()
                assert len(await async_db.fetch_all(select(Thing))) == 2

            async def test_too_many(trip_budget):
                with trip_budget(1):
                    await add()

            def test_late(request):
                request.getfixturevalue("trip_budget")
        """,
    )
    code, said = project.pytest("-W", "error", DATABASE_DRIVER=driver)
    assert "2 failed, 2 passed" in said, said
    assert code == 1
    assert "at most 1 allowed:" in said
    assert "came too late" in said
