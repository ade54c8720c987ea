"""Fifty users who try to get at each other's tasks, over HTTP and past it.

Every task carries the mark of its owner in its words. A mark in an answer that is not the asker's is a foreign row
read; a row that is not as its owner left it is a foreign row changed. The seed decides everything but timing.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from app.models import Task
from app.sessions import acting_for
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import delete, func, insert, text, update
from sqlmodel import col, select

from onetrip import AsyncDatabase
from onetrip.errors import DatabaseError, PermissionDenied
from tests.harness.postgres import Postgres

from .conftest import Api

USERS = [f"user{number:02}" for number in range(50)]
TASKS_EACH = 20
AT_ONCE = 8
MARK = re.compile(r"ownedby(user\d\d)z")
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

QUOTES = (
    "' OR '1'='1", "'; DROP TABLE tasks; --", "') OR user_id <> ('", "x' UNION SELECT * FROM tasks --", "%", "*", ":*",
    "\\", "${app.user_id}", "ownedbyuser01z", "ownedbyuser01z or ownedbyuser02z", "-nothing", '"ownedbyuser03z"',
)  # fmt: skip


def mark(user: str) -> str:
    """Return the word by which a task shows whose it is."""
    return f"ownedby{user}z"


class Undone(Exception):
    """Roll an attack back after its effect was counted."""


@dataclass
class Attack:
    """One campaign; ``foreign`` lists what should have been impossible, ``tried`` counts what was tried."""

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

    # The campaign

    async def run(self, count: int) -> None:
        """Prepare the victims, attack ``count`` times, and look at what is left."""
        self._plant()
        before = self._originals()
        for user in USERS:
            await self._own_pages(user)
        kinds = [method for name, method in vars(type(self)).items() if name.startswith(("http_", "direct_"))]
        weights = [6 if kind.__name__.startswith("http_") else 3 for kind in kinds]
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(kind: Callable[..., Awaitable[None]], dice: random.Random) -> None:
            async with gate:
                attacker, victim = dice.sample(USERS, 2)
                await kind(self, attacker, victim, dice)

        chosen = self.dice.choices(kinds, weights, k=count)
        async with asyncio.TaskGroup() as group:
            for kind in chosen:
                self.tried[kind.__name__] += 1
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

    def _request(self, writer: str, dice: random.Random, task_id: int) -> tuple[str, str, dict[str, Any]]:
        """Return any request that the interface knows, as (method, rest of the path, arguments)."""
        task = {"title": f"{mark(writer)} was here", "description": mark(writer)}
        known: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "", {"params": self._listing(dice)}),
            ("POST", "", {"json": task}),
            ("GET", f"/{task_id}", {}),
            ("PATCH", f"/{task_id}", {"json": task}),
            ("POST", f"/{task_id}/complete", {}),
            ("DELETE", f"/{task_id}", {}),
        ]
        return dice.choice(known)

    def _listing(self, dice: random.Random) -> dict[str, str]:
        params: dict[str, str] = {"limit": str(dice.choice((1, 7, 100)))}
        if dice.random() < 0.5:
            params["completed"] = dice.choice(("true", "false"))
        if dice.random() < 0.3:
            params["priority"] = dice.choice(("low", "medium", "high"))
        if dice.random() < 0.5:
            params["q"] = dice.choice((*QUOTES, "common", mark(dice.choice(USERS))))
        params["sort"] = dice.choice(("created", "due", "priority"))
        return params

    # Over HTTP

    async def http_other_path(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Use one's own token on another's path."""
        method, rest, more = self._request(attacker, dice, dice.choice(self.ids[victim]))
        answer = await self._send(self.real[attacker], method, f"/api/{victim}/tasks{rest}", **more)
        self._expect(answer, {403}, "another's path")
        self._read(answer.text, None, "another's path")

    async def http_other_id(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Use another's task id on one's own path."""
        while True:
            method, rest, more = self._request(attacker, dice, dice.choice(self.ids[victim]))
            if rest:
                break
        answer = await self._send(self.real[attacker], method, f"/api/{attacker}/tasks{rest}", **more)
        self._expect(answer, {404}, "another's id")
        self._read(answer.text, None, "another's id")

    async def http_listing(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Filter, sort and search for what others have, also from another's cursor on."""
        params = self._listing(dice)
        if dice.random() < 0.5:
            params["sort"], params["cursor"] = dice.choice(self.cursors[victim])
        answer = await self._send(self.real[attacker], "GET", f"/api/{attacker}/tasks", params=params)
        self._expect(answer, {200}, "listing")
        self._read(answer.text, attacker, "listing")

    async def http_forged_cursor(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Tamper with a cursor."""
        sort, cursor = dice.choice(self.cursors[victim])
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value = dice.choice(
            (victim, 0, None, [], {}, "' OR true --", "infinity", "0001-01-01", 2**63, -1, float("nan"))
        )
        forged = dice.choice((
            raw[: dice.randrange(len(raw))],
            json.dumps([sort, value, dice.choice(self.ids[victim])]).encode(),
            json.dumps([sort, json.loads(raw)[1], value]).encode(),
            json.dumps([dice.choice(("created", "due", "priority", "user_id")), *json.loads(raw)[1:]]).encode(),
            dice.randbytes(20),
        ))  # fmt: skip
        params = {"sort": sort, "cursor": base64.urlsafe_b64encode(forged).decode().rstrip("=")}
        answer = await self._send(self.real[attacker], "GET", f"/api/{attacker}/tasks", params=params)
        self._expect(answer, {200, 422}, "forged cursor")
        self._read(answer.text, attacker, "forged cursor")

    async def http_forged_token(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Pretend to be the victim."""
        token = self.forge(attacker, victim, dice)
        method, rest, more = self._request(attacker, dice, dice.choice(self.ids[victim]))
        answer = await self._send(token, method, f"/api/{victim}/tasks{rest}", **more)
        self._expect(answer, {401}, f"forged token {token}")
        self._read(answer.text, None, "forged token")

    def forge(self, attacker: str, victim: str, dice: random.Random) -> str:
        """Return a token that says "victim" and must not be believed."""
        settings, genuine = self.api.tokens.settings, self.real[attacker]
        now = datetime.now(UTC)
        good = {"sub": victim, "exp": now + timedelta(hours=1), "aud": settings.audience, "iss": settings.issuer}
        secret = self.api.tokens._secret  # what an attacker does not have; only to make tokens wrong in one thing alone
        header, payload, signature = genuine.split(".")
        as_victim = _b64(json.dumps(good | {"exp": int(good["exp"].timestamp())}).encode())
        without = dice.choice(("exp", "aud", "iss"))
        return dice.choice((
            lambda: jwt.encode(good, "x" * 32, algorithm="HS256"),
            lambda: jwt.encode(good, None, algorithm="none"),
            lambda: f"{_b64(json.dumps({'alg': 'None', 'typ': 'JWT'}).encode())}.{as_victim}.",
            lambda: f"{_b64(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{as_victim}.",
            lambda: jwt.encode(good, secret.ljust(64, "0"), algorithm="HS512"),
            lambda: jwt.encode(good, secret, algorithm="HS384"),
            lambda: jwt.encode(good, RSA_KEY, algorithm="RS256"),
            lambda: jwt.encode(good, "x" * 32, algorithm="HS256", headers={"kid": "../../dev/null", "jku": "http://x"}),
            lambda: jwt.encode(good, "x" * 32, headers={"jwk": {"kty": "oct", "k": _b64(b"x" * 32)}}),
            lambda: jwt.encode(good | {"exp": now - timedelta(seconds=1)}, secret),
            lambda: jwt.encode(good | {"nbf": now + timedelta(hours=1)}, secret),
            lambda: jwt.encode(good | {"aud": "other"}, secret),
            lambda: jwt.encode(good | {"iss": "other"}, secret),
            lambda: jwt.encode({name: value for name, value in good.items() if name != without}, secret),
            lambda: jwt.encode({name: value for name, value in good.items() if name != "sub"}, secret),
            lambda: f"{header}.{as_victim}.{signature}",
            lambda: f"{header}.{payload}.{_b64(hmac.digest(b'', f'{header}.{payload}'.encode(), hashlib.sha256))}",
            lambda: f"{header}.{payload}.{signature[:-4]}",
            lambda: f"{header}.{payload}",
            lambda: dice.randbytes(30).hex(),
            lambda: "",
        ))()  # fmt: skip

    async def http_smuggled_owner(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Name the victim where the interface has no place for an owner."""
        body = {"title": mark(attacker), "description": mark(attacker), "user_id": victim}
        mine = f"/api/{attacker}/tasks"
        token = self.real[attacker]
        if dice.random() < 0.5:
            answer = await self._send(token, "POST", mine, json=body)
        else:
            answer = await self._send(token, "GET", mine, params={"user_id": victim})
        self._expect(answer, {422}, "smuggled owner")
        self._read(answer.text, None, "smuggled owner")

    async def http_odd_path(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Write the victim's path in ways that a check and a router might read differently."""
        written = (
            "/api/{me}/../{you}/tasks /api/{me}%2F..%2F{you}/tasks /api//{you}/tasks /api/{you}%00/tasks "
            "/api/%25/tasks /api/{YOU}/tasks /api/{you}%20/tasks /api/{you};/tasks /api/{me}/tasks/../../{you}/tasks "
            "/API/{you}/tasks /api/{me},{you}/tasks /api/{me}'%20OR%20'{you}/tasks /api/{you}/tasks/"
        )
        path = dice.choice(written.split()).format(me=attacker, you=victim, YOU=victim.upper())
        answer = await self._send(self.real[attacker], "GET", path)
        self._expect(answer, {307, 401, 403, 404, 405, 422}, f"odd path {path}")
        self._read(answer.text, None, "odd path")

    async def http_odd_subject(self, _attacker: str, victim: str, dice: random.Random) -> None:
        """Have a real token for a user id that looks like SQL or like a setting."""
        odd = dice.choice(
            (f"{victim}' OR '1'='1", "'; RESET ROLE; --", "none", "tasks_search", f"{victim} ", "%", '"', "\\")
        )
        answer = await self.api.http.get(
            f"/api/{odd.replace('%', '%25')}/tasks", headers={"Authorization": f"Bearer {self.api.tokens.issue(odd)}"}
        )
        self._expect(answer, {200, 401, 403}, f"odd subject {odd}")
        self._read(answer.text, None, "odd subject")

    async def http_own_writes(self, attacker: str, _victim: str, dice: random.Random) -> None:
        """Do what one may, so that identities alternate on the pooled connections."""
        task = {"title": f"{mark(attacker)} extra", "description": mark(attacker)}
        created = await self._send(self.real[attacker], "POST", f"/api/{attacker}/tasks", json=task)
        self._expect(created, {201}, "own writes")
        path = f"/api/{attacker}/tasks/{created.json()['id']}"
        for method, rest in dice.sample([("GET", ""), ("POST", "/complete"), ("DELETE", "")], 2):
            answer = await self._send(self.real[attacker], method, path + rest)
            self._expect(answer, {200, 204, 404}, "own writes")
            self._read(answer.text, attacker, "own writes")

    # Past HTTP: what a bug in the application could send, with a right identity, a wrong one, or none

    async def direct_reads(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Read without a filter, or with the victim's."""
        statement: Any = dice.choice((
            select(Task),
            select(Task).where(col(Task.user_id) == victim),
            select(Task).where(col(Task.id).in_(self.ids[victim])),
            select(Task).where(col(Task.title).contains(mark(victim))),
            text("SELECT t.title FROM tasks t, matching_tasks('common') m WHERE m.id = t.id"),
            select(Task.title, Task.description).where(text("search @@ to_tsquery('common')")),
            text("TABLE tasks"),
        ))  # fmt: skip
        rows = await self.db.fetch_all(statement, **acting_for(attacker))
        self._read(rows, attacker, "direct read")

    async def direct_search(self, attacker: str, victim: str, _dice: random.Random) -> None:
        """Ask the search function for the victim's words."""
        found = func.matching_tasks(f"{mark(victim)} or common").table_valued("id")
        ids = set(await self.db.fetch_all(select(found.c.id), **acting_for(attacker)))
        if ids & set(self.ids[victim]) or not ids:
            self.foreign.append(f"search: {attacker} found ids of {victim}, or nothing at all")

    async def direct_writes(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Change and delete what is the victim's."""
        words = {"title": mark(attacker), "description": mark(attacker)}
        statement: Any = dice.choice((
            update(Task).where(col(Task.user_id) == victim).values(**words),
            update(Task).where(col(Task.id).in_(self.ids[victim])).values(completed=True),
            delete(Task).where(col(Task.user_id) == victim),
            delete(Task).where(col(Task.id).in_(self.ids[victim])),
        ))  # fmt: skip
        done = await self.db.execute(statement, **acting_for(attacker))
        if done.rowcount:
            self.foreign.append(f"direct write: {done.rowcount} rows of {victim}")

    async def direct_unbounded(self, attacker: str, _victim: str, dice: random.Random) -> None:
        """Change or delete everything one can reach, count it, and roll back."""
        statement: Any = dice.choice((delete(Task), update(Task).values(completed=True)))
        try:
            async with self.db.transaction(**acting_for(attacker)) as session:
                await session.exec(statement)
                left = (await session.exec(select(Task.user_id, Task.title))).all()
                self._read(left, attacker, "unbounded")
                raise Undone
        except Undone:
            return

    async def direct_as_victim(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Insert a row for the victim, or give one away."""
        words = {"title": mark(attacker), "description": mark(attacker)}
        statement: Any = dice.choice((
            insert(Task).values(user_id=victim, **words),
            update(Task).where(col(Task.id) == self.ids[attacker][0]).values(user_id=victim),
        ))  # fmt: skip
        await self._denied(statement, attacker, "row for another")

    async def direct_escapes(self, attacker: str, _victim: str, dice: random.Random) -> None:
        """Try to get rid of the wall itself."""
        statement = dice.choice((
            "TRUNCATE tasks", "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY", "DROP POLICY only_mine ON tasks",
            "SET ROLE tasks_search", "SELECT set_config('role', 'tasks_search', true)", 'SELECT * FROM "user"',
            "SELECT * FROM session", "CREATE TABLE mine AS TABLE tasks", "DROP FUNCTION matching_tasks(text)",
            "WITH off AS MATERIALIZED (SELECT set_config('row_security', 'off', true)) SELECT title FROM tasks, off",
        ))  # fmt: skip
        try:
            done = await self.db.execute(text(statement), **acting_for(attacker))
        except PermissionDenied:
            return
        if "row_security" not in statement:
            self.foreign.append(f"{statement}: was allowed")
        self._read(done.rows, attacker, statement)

    async def _denied(self, statement: Any, attacker: str, how: str) -> None:
        try:
            await self.db.execute(statement, **acting_for(attacker))
        except PermissionDenied:
            return
        self.foreign.append(f"{how}: was allowed")

    async def direct_without_identity(self, attacker: str, _victim: str, dice: random.Random) -> None:
        """Forget the identity, or the role, on a connection that has just served somebody."""
        async with self.db.read(**acting_for(attacker)) as session:
            await session.exec(select(Task.id).limit(1))
        forgotten: list[dict[str, Any]] = [
            {},
            {"role": "tasks_app"},
            {"role": "tasks_app", "local": {"app.user_id": ""}},
        ]
        options = dice.choice(forgotten)
        rows = await self.db.fetch_all(select(Task), **options)
        if rows:
            self.foreign.append(f"{options} showed {len(rows)} tasks")

    async def direct_without_role(self, attacker: str, _victim: str, _dice: random.Random) -> None:
        """Forget the role: FORCE holds the owner of the table to the same policy."""
        rows = await self.db.fetch_all(select(Task), local={"app.user_id": attacker})
        self._read(rows, attacker, "without the role")

    async def direct_after_failure(self, attacker: str, victim: str, dice: random.Random) -> None:
        """Leave a transaction by an error or a cancellation, then read as somebody else."""
        try:
            async with asyncio.timeout(dice.random() * 0.02), self.db.transaction(**acting_for(victim)) as session:
                await session.exec(select(Task.id).limit(1))
                await session.exec(
                    text("SELECT 1/0, pg_sleep(0)") if dice.random() < 0.5 else text("SELECT pg_sleep(1)")
                )  # type: ignore[call-overload]
        except (DatabaseError, TimeoutError):
            rows = await self.db.fetch_all(select(Task), **acting_for(attacker))
            self._read(rows, attacker, "after a failure")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
