"""Attacks over HTTP: tokens, paths, ids, filters, cursors."""

import base64
import json
import random
from typing import Any

from .attack import USERS, Campaign, mark
from .forgery import forge

QUOTES = (
    "' OR '1'='1", "'; DROP TABLE tasks; --", "') OR user_id <> ('", "x' UNION SELECT * FROM tasks --", "%", "*", ":*",
    "\\", "${app.user_id}", "ownedbyuser01z", "ownedbyuser01z or ownedbyuser02z", "-nothing", '"ownedbyuser03z"',
)  # fmt: skip


class HttpAttacks(Campaign):
    """What somebody with a token of their own, or a made-up one, can send."""

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
        token = forge(self.api.tokens, attacker, victim, dice)
        method, rest, more = self._request(attacker, dice, dice.choice(self.ids[victim]))
        answer = await self._send(token, method, f"/api/{victim}/tasks{rest}", **more)
        self._expect(answer, {401}, f"forged token {token}")
        self._read(answer.text, None, "forged token")

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
