"""Pages, put together, are the list: nothing twice, nothing left out, and each is one short range of an index."""

import base64
import json
import random
import secrets
from typing import Any

import psycopg
import pytest
from app.models import Priority, Task
from app.paging import ORDERS, InvalidCursor, Sort
from app.queries import TaskQuery, tasks_page
from seed import people, seed
from sqlalchemy.dialects.postgresql.psycopg import dialect

from tests.harness.postgres import Postgres

from .conftest import Api, serving

EXPECTED_ORDER = {
    "created": "created_at DESC, id DESC",
    "due": "due_date ASC NULLS LAST, id ASC",
    "priority": "priority DESC, id DESC",
}


@pytest.fixture
def dice() -> random.Random:
    """Roll with a seed that is printed."""
    number = secrets.randbits(32)
    print("random seed", number)
    return random.Random(number)


@pytest.fixture
async def full(api: Api, postgres: Postgres, tasks_database: str, dice: random.Random) -> Api:
    """Give ada and ben tasks with many ties and many missing due dates."""
    rows = [
        (
            dice.choice(("ada", "ada", "ben")),
            dice.choice(("buy milk", "call mum", "buy bread")),
            dice.random() < 0.5,
            dice.randint(1, 3),
            dice.choice((None, None, "2030-01-01", "2030-01-02", "1900-01-01", "2999-12-31")),
            f"2026-01-0{dice.randint(1, 3)} 12:00:00.12345{dice.randint(0, 1)}+00",
        )
        for _ in range(200)
    ]
    with postgres.connect(tasks_database) as server, server.cursor() as cursor:
        columns = "user_id, title, completed, priority, due_date, created_at"
        cursor.executemany(f"INSERT INTO tasks ({columns}) VALUES (%s, %s, %s, %s, %s, %s)".encode(), rows)
    return api


async def walk(api: Api, params: dict[str, str]) -> list[int]:
    """Return the ids of all pages in the order in which they come."""
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.call("ada", "GET", params=params | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= int(params["limit"])
        found += [task["id"] for task in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_pages_put_together_are_the_whole_list_in_order(
    full: Api, postgres: Postgres, tasks_database: str, dice: random.Random
) -> None:
    """For every sort order, filter, search and page size: the same ids in the same order as one big query."""
    for _ in range(25):
        sort = dice.choice(list(EXPECTED_ORDER))
        params = {"sort": sort, "limit": str(dice.choice((1, 2, 7, 50, 100)))}
        where = ["user_id = 'ada'"]
        if dice.random() < 0.5:
            params["completed"] = dice.choice(("true", "false"))
            where.append(f"completed = {params['completed']}")
        if dice.random() < 0.5:
            params["priority"] = dice.choice(list(Priority)).value
            where.append(f"priority = {list(Priority).index(Priority(params['priority'])) + 1}")
        if dice.random() < 0.5:
            params["q"] = "buy -bread"
            where.append("title = 'buy milk'")
        wanted = f"SELECT id FROM tasks WHERE {' AND '.join(where)} ORDER BY {EXPECTED_ORDER[sort]}"
        with postgres.connect(tasks_database) as server:
            expected = [row[0] for row in server.execute(wanted.encode()).fetchall()]
        assert await walk(full, params) == expected, params


async def test_a_list_that_changes_underneath_repeats_nothing(full: Api) -> None:
    """What is deleted or added between two pages moves no other task to a page where it does not belong."""
    first = (await full.call("ada", "GET", params={"limit": "10"})).json()
    rest_before = await walk(full, {"limit": "100"})
    await full.call("ada", "DELETE", f"/{first['items'][3]['id']}")
    await full.call("ada", "DELETE", f"/{first['items'][9]['id']}")
    await full.call("ada", "POST", json={"title": "new"})
    second = (await full.call("ada", "GET", params={"limit": "10", "cursor": first["next"]})).json()
    assert [task["id"] for task in second["items"]] == rest_before[10:20]


async def test_a_cursor_of_one_order_is_refused_by_another(full: Api) -> None:
    """A cursor means nothing in another order, so it is a mistake, not a place."""
    for sort in Sort:
        cursor = (await full.call("ada", "GET", params={"sort": sort.value, "limit": "1"})).json()["next"]
        for other in Sort:
            answer = await full.call("ada", "GET", params={"sort": other.value, "cursor": cursor})
            assert (answer.status_code == 200) == (sort == other)


@pytest.mark.parametrize(
    "content",
    [
        ["created", "2026-01-01T00:00:00Z"],
        ["created", "2026-01-01T00:00:00", 1],
        ["created", "9999-12-31T23:59:59-23:00", 1],
        ["created", 1_700_000_000, 1],
        ["created", "infinity", 1],
        ["created", None, 1],
        ["created", "2026-01-01T00:00:00Z", "1"],
        ["created", "2026-01-01T00:00:00Z", 2**63],
        ["created", "2026-01-01T00:00:00Z", 1, "more"],
        {"sort": "created"},
    ],
)
def test_a_cursor_we_did_not_make_is_refused(content: Any) -> None:
    """Nothing but a well-formed cursor gets as far as a statement."""
    cursor = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        ORDERS[Sort.CREATED].after(cursor, Task)


def plan(url: str, query: TaskQuery, user: str) -> str:
    """Explain a list as tasks_app would run it."""
    compiled = tasks_page(user, query).compile(dialect=dialect(), compile_kwargs={"literal_binds": True})
    with psycopg.connect(url) as server:
        server.execute("SELECT set_config('app.user_id', %s, true), set_config('role', 'tasks_app', true)", [user])
        rows = server.execute(f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF, TIMING OFF) {compiled}".encode()).fetchall()
    return "\n".join(row[0] for row in rows)


async def test_every_page_is_one_range_of_its_index(tasks_url: str, postgres: Postgres, tasks_database: str) -> None:
    """Under row-level security, first page or deep, filtered or not: an index range, no sort, no row read in vain."""
    postgres.execute("""DELETE FROM "user" """, database=tasks_database)
    seed(tasks_url, users=150, tasks_per_user=200, tasks_of_first=3_000)
    user = people(1)[0].id
    async with serving(tasks_url) as api:
        for sort in Sort:
            deep = None
            for _ in range(12):
                params = {"sort": sort.value, "limit": "100"} | ({"cursor": deep} if deep else {})
                deep = (await api.call(user, "GET", params=params)).json()["next"]
            for cursor in (None, deep):
                for completed, priority in ((None, None), (False, None), (True, Priority.HIGH)):
                    query = TaskQuery(sort=sort, cursor=cursor, completed=completed, priority=priority, limit=20)
                    found = plan(tasks_url, query, user)
                    assert f"using tasks_by_{sort.value} on tasks" in found, found
                    assert "Sort" not in found, found
                    assert "Removed by Filter" not in found, found
                    assert ("ROW(" in found) == (cursor is not None), found
        for sort in Sort:
            found = plan(tasks_url, TaskQuery(q="dentist -lena", sort=sort, limit=20), user)
            assert "Index Scan using tasks_pkey" in found, found
