"""Fifty users who try to get at each other's tasks, over HTTP and past it.

Every task carries the mark of its owner in its words. A mark in an answer that is not the asker's is a foreign row
read; a row that is not as its owner left it is a foreign row changed. The seed decides everything but timing.
"""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from onetrip import AsyncDatabase
from tests.harness.postgres import Postgres

from .conftest import Api

USERS = [f"user{number:02}" for number in range(50)]
TASKS_EACH = 20
AT_ONCE = 8
MARK = re.compile(r"ownedby(user\d\d)z")


def mark(user: str) -> str:
    """Return the word by which a task shows whose it is."""
    return f"ownedby{user}z"


@dataclass
class Campaign:
    """One campaign; ``foreign`` lists what should have been impossible, ``tried`` counts what was tried.

    Each method whose name begins with ``http_`` or ``direct_`` is a kind of attack.
    """

    api: Api
    postgres: Postgres
    database: str
    seed: int
    tried: Counter[str] = field(default_factory=Counter)
    own: int = 0
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.ids: dict[str, list[int]] = {}
        self.cursors: dict[str, list[tuple[str, str]]] = {user: [] for user in USERS}
        self.real = {user: self.api.tokens.issue(user) for user in USERS}

    @property
    def db(self) -> AsyncDatabase:
        """Return the application's own database, with its own pooled connections."""
        return self.api.db

    async def run(self, count: int) -> None:
        """Prepare the victims, attack ``count`` times, and look at what is left."""
        self._plant()
        before = self._originals()
        for user in USERS:
            await self._own_pages(user)
        kinds = [name for name in dir(self) if name.startswith(("http_", "direct_"))]
        weights = [2 if kind.startswith("http_") else 1 for kind in kinds]
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(kind: str, dice: random.Random) -> None:
            async with gate:
                attacker, victim = dice.sample(USERS, 2)
                await getattr(self, kind)(attacker, victim, dice)

        chosen = self.dice.choices(kinds, weights, k=count)
        async with asyncio.TaskGroup() as group:
            for kind in chosen:
                self.tried[kind] += 1
                group.create_task(one(kind, random.Random(self.dice.random())))
        self._look_at_what_is_left(before)

    def _plant(self) -> None:
        with self.postgres.connect(self.database) as server, server.cursor() as cursor:
            cursor.executemany(
                'INSERT INTO "user" (id, name, email, "emailVerified") VALUES (%s, %s, %s, true)',
                [(user, user, f"{user}@example.com") for user in USERS],
            )
            cursor.executemany(
                "INSERT INTO tasks (user_id, title, description, priority, due_date) VALUES (%s, %s, %s, %s, %s)",
                [
                    (user, f"{mark(user)} {n}", f"common {mark(user)}", 1 + n % 3, "2030-01-01" if n % 2 else None)
                    for n in range(TASKS_EACH)
                    for user in USERS
                ],
            )
            for user, task_id in cursor.execute("SELECT user_id, id FROM tasks ORDER BY id").fetchall():
                self.ids.setdefault(user, []).append(task_id)

    def _originals(self) -> list[Any]:
        ids = [task_id for owned in self.ids.values() for task_id in owned]
        with self.postgres.connect(self.database) as server:
            return server.execute("SELECT * FROM tasks WHERE id = ANY(%s) ORDER BY id", [ids]).fetchall()

    async def _own_pages(self, user: str) -> None:
        """Read one's own pages: it must work, or the campaign proves nothing; the cursors are loot for the others."""
        for sort in ("created", "due", "priority"):
            answer = await self.api.call(user, "GET", params={"sort": sort, "limit": 7})
            assert answer.status_code == 200, answer.text
            self._read(answer.text, user, "own page")
            self.cursors[user].append((sort, answer.json()["next"]))

    def _look_at_what_is_left(self, before: list[Any]) -> None:
        if self._originals() != before:
            self.foreign.append("an original task was changed or deleted")
        with self.postgres.connect(self.database) as server:
            rows = server.execute("SELECT user_id, title, description FROM tasks").fetchall()
        for owner, title, description in rows:
            if set(MARK.findall(title + description)) != {owner}:
                self.foreign.append(f"a task of {owner} says {title!r}, {description!r}")

    def _read(self, answer: object, reader: str | None, how: str) -> None:
        """Look for marks that are not the reader's; None is a reader who may see nothing at all."""
        owners = set(MARK.findall(str(answer)))
        self.own += reader in owners
        if owners - {reader}:
            self.foreign.append(f"{how}: {reader} read tasks of {sorted(owners - {reader})}")

    def _expect(self, answer: Any, statuses: set[int], how: str) -> None:
        if answer.status_code not in statuses:
            self.foreign.append(f"{how}: {answer.status_code} {answer.text[:200]}")

    async def _send(self, token: str, method: str, path: str, **more: Any) -> Any:
        return await self.api.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)
