"""Connections that die in the middle of a request: before a packet, after it, and after the server's answer."""

import random
from collections.abc import Awaitable, Callable, Iterator

import pytest

from onetrip import errors
from tests.contract.face import Face
from tests.failures.book import INSERT, READS, Book, Request, execute, transaction
from tests.failures.saboteur import FATES, Fate, Saboteur
from tests.harness.postgres import Postgres
from tests.harness.wait import until_async

Open = Callable[..., Face]
Strike = Callable[..., Awaitable[None]]


@pytest.fixture
def saboteur(postgres: Postgres) -> Iterator[Saboteur]:
    """Stand between the clients and the run's own server."""
    with Saboteur(postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def db(open_trip: Open, saboteur: Saboteur, postgres: Postgres, written: str) -> Face:
    """Open a database through the saboteur, with a connection that has been used."""
    face = open_trip(saboteur.url(postgres.url(written)), pool_max=3)
    for kind in READS:
        await kind(face, 0)
    return face


@pytest.fixture
def strike(saboteur: Saboteur, postgres: Postgres, written: str) -> Strike:
    """End the connection around the next packet of a request, once."""

    async def strike(fate: Fate, *, inside: bool = False) -> None:
        if not inside:
            await at_rest(postgres, written)  # a ROLLBACK that comes late would be the next packet
        fates = [fate]
        saboteur.plan = lambda: fates.pop() if fates else None

    return strike


async def at_rest(server: Postgres, database: str, writes: int | None = None) -> None:
    """Wait until the server has done what it was told, and undone what it lost."""
    await until_async(
        lambda: (
            all(backend.state == "idle" for backend in server.backends(database))
            and writes in {None, server.scalar("SELECT count(DISTINCT n) FROM written", database=database)}
        )
    )


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("what", READS, ids=lambda what: what.__name__)
async def test_a_read_is_replayed(db: Face, strike: Strike, what: Request, fate: Fate) -> None:
    """Reading changes nothing: whatever became of the first flight, the second one answers."""
    for n in range(1, 4):
        await strike(fate)
        await what(db, n)
    assert db.stats().discarded["lost"] == 3


@pytest.mark.parametrize("fate", FATES)
async def test_a_transaction_s_first_flight_is_replayed(
    db: Face, strike: Strike, postgres: Postgres, written: str, fate: Fate
) -> None:
    """It carried no COMMIT: what it did on the server is undone there."""
    book = Book()
    for _ in range(3):
        await strike(fate)
        async with book.entry() as n:
            await transaction(db, n)
    book.check(postgres, written)
    assert len(book.acknowledged) == 3
    assert db.stats().discarded["lost"] == 3


@pytest.mark.parametrize("fate", FATES)
async def test_a_later_statement_is_not(db: Face, strike: Strike, postgres: Postgres, written: str, fate: Fate) -> None:
    """The transaction's earlier statements are gone with the connection: ConnectionLost, and nothing is there."""
    book = Book()
    with pytest.raises(errors.ConnectionLost) as lost:
        async with book.entry() as n, db.transaction() as session:
            await session.exec(INSERT, params={"n": n, "half": 1})
            await strike(fate, inside=True)
            await session.exec(INSERT, params={"n": n, "half": 2})
    assert lost.value.retry is errors.Retry.YES
    await at_rest(postgres, written, 0)
    book.check(postgres, written)


@pytest.mark.parametrize("fate", FATES)
async def test_an_execute_is_never_repeated(
    db: Face, strike: Strike, postgres: Postgres, written: str, fate: Fate
) -> None:
    """It carried its COMMIT: it happened once or not at all, and the error says that nobody knows which."""
    book = Book()
    for _ in range(3):
        await strike(fate)
        async with book.entry() as n:
            await execute(db, n)
    if db.db.settings.driver == "asyncpg":  # which prepares on a new connection first: that much is replayed
        assert book.acknowledged | book.unknown == {1, 2, 3}
        await at_rest(postgres, written)
    else:
        assert len(book.unknown) == 3
        await at_rest(postgres, written, 0 if fate == "unsent" else 3)
    book.check(postgres, written)


@pytest.mark.slow
async def test_whatever_is_cut_whenever(db: Face, saboteur: Saboteur, postgres: Postgres, written: str) -> None:
    """A thousand writes, every third packet of theirs struck: acknowledged ones are there, none is there twice."""
    seed = random.randrange(10**6)
    print(f"seed={seed}")
    dice, book = random.Random(seed), Book()
    saboteur.plan = lambda: dice.choice(FATES) if dice.random() < 0.3 else None
    for _ in range(1000):
        try:
            async with book.entry() as n:
                await dice.choice((transaction, execute))(db, n)
        except (errors.ConnectionLost, errors.ConnectFailed):
            pass  # in the book
    saboteur.plan = lambda: None
    assert len(book.unknown) > 100
    assert len(book.failed) > 20
    await at_rest(postgres, written)
    book.check(postgres, written)
