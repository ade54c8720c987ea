"""Through a transaction pooler nothing is sent that outlives a transaction: no other client meets it, nothing pins."""

import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from onetrip import Settings
from tests.contract.face import MODES, Mode
from tests.harness.postgres import Postgres

# What RDS Proxy pins a connection for, and what PgBouncer hands to the next client:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
SESSION_BOUND = re.compile(
    r"^\s*(SET(?!\s+LOCAL\b|\s+TRANSACTION\b)|RESET|DISCARD|DEALLOCATE|PREPARE|EXECUTE|DECLARE|LISTEN|UNLISTEN|LOAD)\b"
    r"|pg_(try_)?advisory_(?!xact)|set_config\([^)]*false",
    re.IGNORECASE,
)


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
def heard(postgres: Postgres, database: str) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Return what tells the statements that reached the database, each with how it came: simple, or by what name."""
    with postgres.changed(log_statement="all", log_line_prefix="%d|"):
        offset = len(postgres.log_text())

        def heard() -> list[tuple[str, str]]:
            lines = postgres.log_text()[offset:].splitlines()
            found = (re.match(rf"{database}\|LOG:  (statement|execute (\S+)): (.*)", line) for line in lines)
            return [(match[2] or "simple", match[3]) for match in found if match]

        yield heard


async def test_nothing_outlives_its_transaction(
    mode: Mode, database_url: str, heard: Callable[[], list[tuple[str, str]]]
) -> None:
    """Connecting, reading, writing, rolling back, repeating a statement, returning and closing: all leave no trace."""
    settings = Settings(database_url=database_url, pooler="transaction", driver=mode.driver, tier="test", pool_max=1)
    db = mode.open(settings)
    try:
        await db.execute(text("CREATE TABLE note (body text)"))
        for number in range(8):  # psycopg would name a statement at its sixth use
            await db.execute(text("INSERT INTO note VALUES (:body)").bindparams(body=str(number)))
            assert await db.fetch_value(text("SELECT count(*) FROM note")) == number + 1
        async with db.transaction(isolation="serializable", local={"app.user": "7"}, statement_timeout=2.5) as session:
            assert (await session.exec(text("SHOW statement_timeout"))).scalar() == "2500ms"
        with pytest.raises(ZeroDivisionError):
            async with db.transaction() as session:
                await session.exec(text("INSERT INTO note VALUES ('x')"))
                raise ZeroDivisionError
        async with db.read(snapshot=True) as session:
            assert (await session.exec(text("SHOW statement_timeout"))).scalar() == "30s"
    finally:
        await db.close()
    statements = heard()
    assert len(statements) > 20
    assert [said for _, said in statements if SESSION_BOUND.search(said)] == []
    assert {name for name, _ in statements} <= {"simple", "<unnamed>"}
