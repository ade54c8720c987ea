"""Connections that died between two requests: nobody notices, and nothing happens twice."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.contract.face import Face
from tests.failures.book import READS, WRITES, Book, Request
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.wait import until

Open = Callable[..., Face]
AT_ONCE = 25


async def request(db: Face, what: Request, book: Book) -> None:
    """Send one request; only a write has something to note."""
    if what in WRITES:
        async with book.entry() as n:
            await what(db, n)
    else:
        await what(db, next(book.numbers))


async def deaths(db: Face, kill: Callable[[], object], book: Book, *, rounds: int, at_once: int) -> None:
    """Kill all that is idle, then send requests at once, each of which would meet a dead connection."""
    seed = random.randrange(10**6)
    print(f"seed={seed}")
    dice = random.Random(seed)
    for _ in range(rounds + 1):
        kinds = [dice.choice(READS + WRITES) for _ in range(at_once)]
        await asyncio.gather(*(request(db, kind, book) for kind in kinds))
        await asyncio.to_thread(kill)
    assert (book.unknown, book.failed) == (set(), {})
    assert db.stats().in_use == 0


def terminate(server: Postgres, database: str) -> None:
    """End every backend at once, and wait no longer than until the server has none left."""
    server.scalar("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", database)
    until(lambda: not server.backends(database))


@pytest.fixture(params=["restarted", "crashed", "terminated"])
def kill(request: pytest.FixtureRequest, frail: Postgres, frail_database: str) -> Callable[[], object]:
    """Name what happens to the server's side of every idle connection."""
    return {
        "restarted": frail.restart,
        "crashed": lambda: frail.restart("immediate"),
        "terminated": lambda: terminate(frail, frail_database),
    }[request.param]


@pytest.mark.parametrize(("rounds", "at_once"), [(2, 5), pytest.param(10, AT_ONCE, marks=pytest.mark.slow)])
async def test_no_request_notices(
    open_trip: Open, frail: Postgres, frail_database: str, kill: Callable[[], object], rounds: int, at_once: int
) -> None:
    """The server restarted, or every backend killed, between requests: none fails, and no write is done twice."""
    db, book = open_trip(frail.url(frail_database), pool_max=at_once), Book()
    await deaths(db, kill, book, rounds=rounds, at_once=at_once)
    book.check(frail, frail_database)
    assert sum(db.stats().discarded.values()) >= rounds


@pytest.mark.parametrize(("rounds", "at_once"), [(2, 5), pytest.param(10, AT_ONCE, marks=pytest.mark.slow)])
async def test_nor_a_pooler_s_end(
    open_trip: Open, frail_pooler: PgBouncer, frail_database: str, rounds: int, at_once: int
) -> None:
    """PgBouncer killed and started again between requests."""
    url = frail_pooler.url(frail_database)
    db, book = open_trip(url, pool_max=at_once, pooler="transaction"), Book()

    def kill() -> None:
        frail_pooler.kill()
        frail_pooler.start()

    await deaths(db, kill, book, rounds=rounds, at_once=at_once)
    book.check(frail_pooler.upstream, frail_database)
    assert sum(db.stats().discarded.values()) >= rounds


async def test_nor_what_happens_behind_a_pooler(open_trip: Open, frail_pooler: PgBouncer, frail_database: str) -> None:
    """PgBouncer's own connections ended, between requests: the client's live on."""
    url = frail_pooler.url(frail_database)
    db, book = open_trip(url, pool_max=5, pooler="transaction"), Book()

    upstream = frail_pooler.upstream

    def kill() -> None:
        # A client whose ROLLBACK is still owed is in a transaction: PgBouncer ends it with its server connection.
        until(lambda: {backend.state for backend in upstream.backends(frail_database)} <= {"idle"})
        terminate(upstream, frail_database)
        until(lambda: not frail_pooler.servers(frail_database))  # it reads of the end a moment later

    await deaths(db, kill, book, rounds=3, at_once=5)
    book.check(upstream, frail_database)
    assert db.stats().discarded == {}
