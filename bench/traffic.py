"""The requests of many users, made before the clock starts: tokens, cursors, ids and words of what is really there."""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import jwt
import psycopg
from app.models import Task
from app.paging import ORDERS, Sort
from seed import WORDS

from bench.openloop import Shot

MIX = {"first page": 30, "deep page": 15, "search": 15, "create": 20, "complete": 20}
DEEP = 0.9
"""How far down the list a deep page starts."""

CURSORS = """
    SELECT someone.id, deep.created_at, deep.id
    FROM (SELECT id FROM "user" WHERE id = ANY(%s)) AS someone, LATERAL (
        SELECT created_at, id FROM tasks WHERE user_id = someone.id
        ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1
    ) AS deep
"""
# Users take turns in the table, so the tasks of a stretch of ids belong to many of them.
OPEN_TASKS = """
    SELECT user_id, id FROM tasks TABLESAMPLE SYSTEM (%s) REPEATABLE (2025)
    WHERE NOT completed AND user_id = ANY(%s)
"""


class Traffic:
    """Requests of random users out of ``users``; the same seed gives the same ones."""

    def __init__(self, url: str, secret: str, users: list[str], tasks: int, seed: int = 2025) -> None:
        self.dice = random.Random(seed)
        self.users = users
        expiry = datetime.now(UTC) + timedelta(hours=12)
        claims = {"exp": expiry, "aud": "tasks", "iss": "tasks-demo"}
        self.tokens = {user: jwt.encode(claims | {"sub": user}, secret, algorithm="HS256") for user in users}
        order = ORDERS[Sort.CREATED]
        with psycopg.connect(url) as connection:
            rows = connection.execute(CURSORS, [users, int(tasks * DEEP)]).fetchall()
            self.cursors = {
                user: order.cursor_at(Sort.CREATED, Task(id=task, user_id=user, created_at=moment))
                for user, moment, task in rows
            }
            self.open_tasks: dict[str, list[int]] = defaultdict(list)
            total = connection.execute("SELECT reltuples FROM pg_class WHERE oid = 'tasks'::regclass").fetchone()
            assert total is not None
            share = min(100.0, 100 * 200_000 / max(total[0], 1))
            for user, task in connection.execute(OPEN_TASKS, [share, users]):
                self.open_tasks[user].append(task)
        self.with_open = sorted(self.open_tasks)

    def mixed(self, count: int) -> list[Shot]:
        """Return requests in the proportions of MIX."""
        kinds = self.dice.choices(list(MIX), weights=list(MIX.values()), k=count)
        return [self.shot(kind) for kind in kinds]

    def only(self, kind: str, count: int) -> list[Shot]:
        """Return requests of one kind."""
        return [self.shot(kind) for _ in range(count)]

    def shot(self, kind: str) -> Shot:
        """Return one request of a random user."""
        user = self.dice.choice(self.with_open if kind == "complete" else self.users)
        path = f"/api/{user}/tasks"
        match kind:
            case "deep page":
                path += "?" + urlencode({"cursor": self.cursors[user]})
            case "search":
                path += "?" + urlencode({"q": self._words()})
            case "complete":
                path += f"/{self.dice.choice(self.open_tasks[user])}/complete"
        body = self._new_task() if kind == "create" else b""
        return Shot(kind, _http("POST" if kind in {"create", "complete"} else "GET", path, self.tokens[user], body))

    def _words(self) -> str:
        """Return a thing and, half of the time, what to do with it: words that a few to a few dozen tasks have."""
        verb, thing = self._errand()
        last = thing.split()[-1]
        return self.dice.choice([last, f"{verb} {last}"])

    def _new_task(self) -> bytes:
        verb, thing = self._errand()
        task = {"title": f"{verb} {thing}", "description": self.dice.choice(WORDS["why"]), "tags": ["bench"]}
        return json.dumps(task).encode()

    def _errand(self) -> tuple[str, str]:
        verbs, things = self.dice.choice(WORDS["errands"])
        return self.dice.choice(verbs), self.dice.choice(things)


def _http(method: str, path: str, token: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    elif method == "POST":
        head += "Content-Length: 0\r\n"
    return head.encode() + b"\r\n" + body
