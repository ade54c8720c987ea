"""Fill the database with users and tasks, by COPY.

``seed(url, users=1_000, tasks_per_user=100)`` tops up: users who are there already keep
what they have. Everything happens in one transaction, so an interrupted seed leaves nothing behind. The
same arguments give the same people and the same words.
"""

import json
import random
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from onetrip import Database, Settings
from onetrip.errors import ConfigurationError

ROWS_A_BLOCK = 5_000
WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("words.json").read_text())


@dataclass(frozen=True)
class Person:
    """One user to make."""

    id: str
    name: str
    email: str


@dataclass(frozen=True)
class Seeded:
    """What was added, and how long it took."""

    users: int
    tasks: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Return how many tasks a second were loaded, indexes and all."""
        return self.tasks / self.seconds if self.seconds else 0.0


def people(count: int, seed: int = 2025) -> list[Person]:
    """Return the first ``count`` people, always the same; ids look like Better Auth's."""
    dice = random.Random(seed)
    letters = string.ascii_letters + string.digits
    found = []
    for number in range(count):
        user_id = "".join(dice.choices(letters, k=32))
        name = f"{dice.choice(WORDS['first'])} {dice.choice(WORDS['last'])}"
        found.append(Person(user_id, name, f"user{number}@example.com"))
    return found


def seed(
    url: str,
    users: int = 1_000,
    tasks_per_user: int = 100,
    *,
    tasks_of_first: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Seeded:
    """Add the users that are missing, each with tasks; the first user has ``tasks_of_first`` if that is more.

    ``url`` is a direct one, of the role that owns the tables. ``progress(rows, all_rows)`` is called as rows go in.
    """
    began = time.monotonic()
    settings = Settings(database_url=url, driver="psycopg", statement_timeout=0, idle_in_transaction_timeout=0)
    with Database(settings=settings) as db, db.engine.connect() as connection:
        server = connection.connection.driver_connection
        assert isinstance(server, psycopg.Connection)
        known = _known_users(server)
        new = people(users)[known:]
        extra = max(tasks_of_first - tasks_per_user, 0) if new and not known else 0
        rows = len(new) * tasks_per_user + extra
        if new:
            with _open_for_loading(server):
                _copy_people(server, new)
                _copy_tasks(server, new, tasks_per_user, extra, lambda done: progress(done, rows))
            server.commit()
            server.autocommit = True
            server.execute("VACUUM (ANALYZE) tasks")
            server.execute('ANALYZE "user"')
            server.autocommit = False
    return Seeded(len(new), rows, time.monotonic() - began)


def _known_users(server: psycopg.Connection[Any]) -> int:
    """Count the users of the demo; refuse to mix invented people with real ones."""
    mark = _scalar(server, """SELECT obj_description('"user"'::regclass, 'pg_class')""")
    if not (mark or "").startswith("made by examples/tasks"):
        raise ConfigurationError(
            'the table "user" is Better Auth\'s own, so no invented users go into it',
            hint="SEED_USERS=0 serves what is there; an empty database takes the seed",
        )
    return int(_scalar(server, 'SELECT count(*) FROM "user"'))


@contextmanager
def _open_for_loading(server: psycopg.Connection[Any]) -> Iterator[None]:
    """Lift what stands in the way of a bulk load, for this transaction, under a lock that lets nobody else in.

    FORCE binds the owner to row-level security, under which COPY is refused. For anyone else nothing changes for a
    moment: the lock goes with the transaction, and by then the table is as it was, or the load never happened.
    An empty table loses its indexes meanwhile: building them at the end is many times faster.
    """
    server.execute("ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY")
    empty = _scalar(server, "SELECT NOT EXISTS (SELECT FROM tasks)")
    indexes = server.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = 'tasks'::regclass AND NOT indisprimary AND %s",
        [empty],
    ).fetchall()
    for name, _ in indexes:
        server.execute(f"DROP INDEX {name}".encode())
    yield
    server.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for _, definition in indexes:
        server.execute(definition.encode())
    server.execute("ALTER TABLE tasks FORCE ROW LEVEL SECURITY")


def _copy_people(server: psycopg.Connection[Any], new: list[Person]) -> None:
    with server.cursor().copy('COPY "user" (id, name, email, "emailVerified") FROM STDIN') as copy:
        for person in new:
            copy.write_row((person.id, person.name, person.email, True))


def _copy_tasks(
    server: psycopg.Connection[Any], new: list[Person], each: int, extra: int, progress: Callable[[int], None]
) -> None:
    columns = "user_id, title, description, completed, priority, due_date, tags, metadata, created_at, updated_at"
    rows = _rows(new, each, extra)
    done = 0
    with server.cursor().copy(f"COPY tasks ({columns}) FROM STDIN".encode()) as copy:
        while block := list(islice(rows, ROWS_A_BLOCK)):
            copy.write("".join(block))
            done += len(block)
            progress(done)


def _rows(new: list[Person], each: int, extra: int) -> Iterator[str]:
    """Yield lines in COPY's text format, oldest task first.

    Users take turns, as in life: the tasks of one are spread over
    the whole table, and no benchmark gains from neighbours.
    """
    dice = random.Random(new[0].id)
    total = len(new) * each + extra
    now = datetime.now(UTC).replace(microsecond=0)
    step = timedelta(days=700) / max(total, 1)
    moment = now - timedelta(days=700)
    sentences = [_sentence(dice) for _ in range(20_000)]
    due = [r"\N"] * 90 + [str((now + timedelta(days=day)).date()) for day in range(-30, 60)]
    share = extra / (len(new) * each) if each else 0.0  # the first user's surplus comes evenly between the others
    owed, given = 0.0, 0
    for _ in range(each):
        for person in new:
            moment += step
            yield _line(dice, person, sentences, due, moment)
            owed += share
            while given < int(owed) and given < extra:
                given += 1
                moment += step
                yield _line(dice, new[0], sentences, due, moment)
    for _ in range(extra - given):
        moment += step
        yield _line(dice, new[0], sentences, due, moment)


def _sentence(dice: random.Random) -> tuple[str, str, str]:
    """Return title, description, and tags with metadata, none of which needs escaping in COPY's text format."""
    verbs, things = dice.choice(WORDS["errands"])
    title = f"{dice.choice(verbs)} {dice.choice(things)}"
    if dice.random() < 0.3:
        title += f" for {dice.choice(WORDS['first'])}"
    tags = "{" + ",".join(dice.sample(WORDS["tags"], dice.randint(0, 2))) + "}"
    metadata = json.dumps({"estimate": dice.randint(1, 8)} if dice.random() < 0.3 else {})
    return title, dice.choice(WORDS["why"]), f"{tags}\t{metadata}"


def _line(
    dice: random.Random, person: Person, sentences: list[tuple[str, str, str]], due: list[str], moment: datetime
) -> str:
    chance = dice.random()
    title, why, rest = sentences[int(chance * len(sentences))]
    luck = dice.random()
    number = int(luck * 1_000_000)
    if number % 5 == 0:
        why = f"reference {number}" if not why else f"{why}, reference {number}"
    done = "t" if luck < 0.6 else "f"
    return (
        f"{person.id}\t{title}\t{why}\t{done}\t{1 + number % 3}\t{due[number % len(due)]}\t{rest}\t{moment}\t{moment}\n"
    )


def _scalar(server: psycopg.Connection[Any], query: str) -> Any:
    row = server.execute(query.encode()).fetchone()
    return row[0] if row else None
