"""Attacks past HTTP: what a bug in the application could send, with a right identity, a wrong one, or none."""

import asyncio
import random
from typing import Any

from app.models import Task
from app.sessions import acting_for
from sqlalchemy import delete, func, insert, text, update
from sqlmodel import col, select

from onetrip.errors import DatabaseError, PermissionDenied

from .attack import Campaign, mark


class Undone(Exception):
    """Roll an attack back after its effect was counted."""


class DirectAttacks(Campaign):
    """Statements on the application's own database, over its own pooled connections."""

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
