"""A password that changes reaches new connections without a restart: from a file, a function, or the URL's own file."""

import itertools
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql
from sqlalchemy import text

from onetrip import Database, Settings, errors
from tests.contract.face import MODES, Face, Mode
from tests.harness.postgres import Postgres

TRICKY = "ß %@:/?#'\"\\"  # what a generator of passwords may put there
ASKED = [(mode, kind) for mode in MODES for kind in ("sync", *(("async",) if mode.colour == "async" else ()))]
_number = itertools.count()
Change = Callable[[], str]


@pytest.fixture(params=MODES, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once in each mode."""
    return request.param


@pytest.fixture
def role(postgres: Postgres) -> Iterator[str]:
    """Name a role of the test's own."""
    name = f"rotating_{next(_number)}"
    with postgres.connect() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield name
    with postgres.connect() as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def change(postgres: Postgres, role: str) -> Change:
    """Return what gives the role another password."""

    def change() -> str:
        password = f"{TRICKY}{next(_number)}"
        with postgres.connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), password))
        return password

    return change


@pytest.fixture
def refusals(postgres: Postgres, role: str) -> Callable[[], int]:
    """Return what counts how often the server refused the role's password so far."""
    return lambda: postgres.log_text().count(f'password authentication failed for user "{role}"')


@pytest.fixture
def open_url(postgres: Postgres, role: str) -> str:
    """Return a URL without a password."""
    return postgres.url("postgres", user=role, password="").replace(":@", "@")


@pytest.fixture
async def opened(mode: Mode) -> AsyncIterator[Callable[..., Face]]:
    """Open databases of this mode; closes them all."""
    faces: list[Face] = []

    def opened(**settings: Any) -> Face:
        faces.append(mode.open(Settings(driver=mode.driver, **settings)))
        return faces[-1]

    yield opened
    for face in faces:
        await face.close()


Opened = Callable[..., Face]
Refusals = Callable[[], int]
WHO = text("SELECT current_user")


async def ask_anew(db: Face) -> str:
    """Ask the server who we are, on a new connection."""
    await db.close()
    db.open()
    return await db.fetch_value(WHO)


def function(kind: str, ask: Callable[[], str]) -> Callable[[], str] | Callable[[], Awaitable[str]]:
    """Return ``ask`` as it is, or to be awaited."""
    if kind == "sync":
        return ask

    async def asked() -> str:
        return ask()

    return asked


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=repr)
async def test_a_file_is_read_for_each_new_connection(
    opened: Opened, role: str, open_url: str, change: Change, tmp_path: Path, refusals: Refusals, end: str
) -> None:
    """A rotation is met without one refusal, and a final line break is no part of the password."""
    file = tmp_path / "password"
    file.write_text(change() + end, newline="")
    db = opened(database_url=open_url, password_file=file)
    assert await db.fetch_value(WHO) == role
    file.write_text(change() + end, newline="")
    assert await ask_anew(db) == role
    assert refusals() == 0


@pytest.mark.parametrize(("mode", "kind"), ASKED, indirect=["mode"])
async def test_a_function_is_asked_for_each_new_connection(
    opened: Opened, role: str, open_url: str, change: Change, refusals: Refusals, kind: str
) -> None:
    """Credentials that expire are fetched anew, by a function of either colour."""
    now = [change()]
    db = opened(database_url=open_url, password=function(kind, lambda: now[-1]))
    assert await db.fetch_value(WHO) == role
    now.append(change())
    assert await ask_anew(db) == role
    assert refusals() == 0


@pytest.mark.parametrize(("mode", "kind"), ASKED, indirect=["mode"])
async def test_a_refused_password_is_asked_for_once_more(
    opened: Opened, role: str, open_url: str, change: Change, refusals: Refusals, kind: str
) -> None:
    """A source that was a moment behind gets one more chance, and the caller notices nothing."""
    told = iter([change(), change()])
    db = opened(database_url=open_url, password=function(kind, lambda: next(told)))
    assert await db.fetch_value(WHO) == role
    assert refusals() == 1


async def test_a_password_is_not_asked_for_a_third_time(
    opened: Opened, open_url: str, change: Change, refusals: Refusals
) -> None:
    """Two refusals are no rotation under way: more of them would lock the account."""
    change()
    wrong = (f"wrong-{number}" for number in itertools.count())
    with pytest.raises(errors.AuthenticationFailed):
        await opened(database_url=open_url, password=lambda: next(wrong)).fetch_value(WHO)
    assert refusals() == 2


@pytest.mark.parametrize("source", ["url", "function", "file", "url file"])
async def test_a_password_that_has_not_changed_is_sent_once(
    opened: Opened,
    open_url: str,
    change: Change,
    refusals: Refusals,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has nothing new to say is not heard twice; least of all the URL itself."""
    change()
    full, file = open_url.replace("@", ":outdated@"), tmp_path / "secret"
    file.write_text(full if source == "url file" else "outdated")
    if source == "url file":
        monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    given: dict[str, dict[str, Any]] = {
        "url": {"database_url": full},
        "function": {"database_url": open_url, "password": lambda: "outdated"},
        "file": {"database_url": open_url, "password_file": file},
        "url file": {},
    }
    with pytest.raises(errors.AuthenticationFailed):
        await opened(**given[source]).fetch_value(WHO)
    assert refusals() == 1


async def test_the_file_of_the_url_is_read_again_after_a_refusal(
    opened: Opened,
    role: str,
    open_url: str,
    change: Change,
    tmp_path: Path,
    refusals: Refusals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole URL as a mounted secret: its new password costs one refusal, and none after that."""
    file = tmp_path / "url"

    def write() -> None:
        file.write_text(open_url.replace("@", f":{quote(change(), safe='')}@") + "\n")

    write()
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    db = opened()
    assert await db.fetch_value(WHO) == role
    write()
    assert await ask_anew(db) == role
    assert refusals() == 1
    assert await ask_anew(db) == role
    assert refusals() == 1


@pytest.mark.parametrize("content", [None, ""], ids=["missing", "empty"])
async def test_a_file_that_is_gone_is_named(opened: Opened, open_url: str, tmp_path: Path, content: str | None) -> None:
    """What happens to the file later is told as clearly as at the start."""
    file = tmp_path / "password"
    file.write_text("hunter22")
    db = opened(database_url=open_url, password_file=file)
    file.unlink()
    if content is not None:
        file.write_text(content)
    said = "cannot be read: No such file or directory" if content is None else "which is empty"
    with pytest.raises(errors.ConfigurationError, match=f"DATABASE_PASSWORD_FILE names {file}.*{said}"):
        await db.fetch_value(WHO)


@pytest.mark.parametrize(("returned", "said"), [(None, "a NoneType"), (b"x", "a bytes"), ("", "an empty text")])
async def test_a_function_that_returns_no_password_is_named(
    opened: Opened, open_url: str, returned: Any, said: str
) -> None:
    """Nothing but text is sent to the server as a password."""
    with pytest.raises(errors.ConfigurationError, match=f"password returned {said}"):
        await opened(database_url=open_url, password=lambda: returned).fetch_value(WHO)


def test_a_blocking_database_says_that_it_cannot_await(open_url: str) -> None:
    """The wrong colour of function is told with the right one."""

    async def ask() -> str:
        return "hunter22"

    with (
        Database(settings=Settings(database_url=open_url, password=ask)) as db,
        pytest.raises(errors.ConfigurationError, match="coroutine function") as caught,
    ):
        db.fetch_value(WHO)
    assert "AsyncDatabase" in str(caught.value.hint)


async def test_no_error_shows_a_password_that_was_refused(opened: Opened, open_url: str, change: Change) -> None:
    """What a source told is a secret like the URL's own: every message is free of it, its causes' included."""
    told = [f"{change()}-wrong-1", f"{change()}-wrong-2"]
    rest = iter(told)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        await opened(database_url=open_url, password=lambda: next(rest)).fetch_value(WHO)
    shown = "".join(traceback.format_exception(caught.value))
    assert not [password for password in told if password in shown or quote(password, safe="") in shown]
