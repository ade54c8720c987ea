"""The REST interface does what its documentation says, and refuses what the database could not store."""

import asyncio
import json
from typing import Any

import pytest

from tests.harness.postgres import Postgres

from .conftest import Api, serving

BODIES: list[dict[str, Any]] = [
    {},
    {"title": ""},
    {"title": "   "},
    {"title": "x" * 201},
    {"title": "nul \0"},
    {"title": "half \ud800"},
    {"title": "t", "description": "\0"},
    {"title": "t", "description": "x" * 10_001},
    {"title": "t", "tags": ["\0"]},
    {"title": "t", "tags": ["x"] * 21},
    {"title": "t", "tags": [""]},
    {"title": "t", "priority": "urgent"},
    {"title": "t", "due_date": "9999-12-31"},
    {"title": "t", "due_date": "tomorrow"},
    {"title": "t", "metadata": {"a": "\0"}},
    {"title": "t", "metadata": {"\0": 1}},
    {"title": "t", "metadata": {"a": "\udfff"}},
    {"title": "t", "metadata": {"a": float("nan")}},
    {"title": "t", "metadata": {"a": float("inf")}},
    {"title": "t", "metadata": {"a": "x" * 20_000}},
    {"title": "t", "metadata": []},
    {"title": "t", "user_id": "ben"},
    {"title": "t", "id": 7},
    {"title": "t", "\ud800": 7},
]
LISTS = [
    {"q": "x" * 201},
    {"q": "\0"},
    {"priority": "urgent"},
    {"completed": "perhaps"},
    {"sort": "title"},
    {"limit": "0"},
    {"limit": "101"},
    {"complete": "true"},
    {"cursor": ""},
    {"cursor": "W10"},
    {"cursor": "!!!!"},
    {"cursor": "x" * 201},
]
IDS = ["0", "-1", "9223372036854775808", "abc", "1.5", "%00"]


async def test_a_created_task_is_found_again_as_it_was_sent(api: Api) -> None:
    """What goes in comes out, JSON, tags, umlauts and all."""
    sent = {
        "title": "Zahnärztin anrufen",
        "description": "vor Mittag",
        "priority": "high",
        "due_date": "2030-02-28",
        "tags": ["health", "für mich"],
        "metadata": {"estimate": 1.5, "nested": {"list": [None, True, "ß"]}},
    }
    created = await api.call("ada", "POST", json=sent)
    assert created.status_code == 201
    found = (await api.call("ada", "GET", f"/{created.json()['id']}")).json()
    assert found == created.json()
    assert sent.items() <= found.items()
    assert found["completed"] is False


async def test_defaults_fill_what_was_not_sent(api: Api) -> None:
    """A title is enough."""
    task = (await api.call("ada", "POST", json={"title": " short "})).json()
    wanted = {"title": "short", "description": "", "priority": "medium", "due_date": None, "tags": [], "metadata": {}}
    assert wanted.items() <= task.items()


async def test_update_changes_what_was_sent_and_nothing_else(api: Api) -> None:
    """A PATCH without a field leaves it alone; null takes the due date away."""
    task = (await api.call("ada", "POST", json={"title": "old", "due_date": "2030-01-01", "tags": ["a"]})).json()
    change = {"title": "new", "due_date": None, "metadata": {"a": 1}}
    changed = (await api.call("ada", "PATCH", f"/{task['id']}", json=change)).json()
    assert changed["updated_at"] > task["updated_at"]
    assert changed == task | change | {"updated_at": changed["updated_at"]}


async def test_complete_marks_as_done_and_update_opens_again(api: Api) -> None:
    """Done is done, twice is still done, and there is a way back."""
    task = (await api.call("ada", "POST", json={"title": "t"})).json()
    for _ in range(2):
        assert (await api.call("ada", "POST", f"/{task['id']}/complete")).json()["completed"] is True
    assert (await api.call("ada", "PATCH", f"/{task['id']}", json={"completed": False})).json()["completed"] is False


async def test_a_deleted_task_is_gone(api: Api) -> None:
    """Every way to a deleted task ends in 404."""
    path = f"/{(await api.call('ada', 'POST', json={'title': 't'})).json()['id']}"
    assert (await api.call("ada", "DELETE", path)).status_code == 204
    for method, rest in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/complete")):
        more = {"json": {"title": "x"}} if method == "PATCH" else {}
        assert (await api.call("ada", method, path + rest, **more)).status_code == 404


async def test_search_finds_words_in_title_and_description(api: Api) -> None:
    """Word forms, phrases, "or" and "-not" work; a search nobody can parse finds nothing, and is no error."""
    for title, description in (("Pay invoices", "before Friday"), ("Call Ada", "about the invoice"), ("Rest", "")):
        await api.call("ada", "POST", json={"title": title, "description": description})

    async def titles(words: str) -> set[str]:
        page = (await api.call("ada", "GET", params={"q": words})).json()
        return {task["title"] for task in page["items"]}

    assert await titles("invoice") == {"Pay invoices", "Call Ada"}
    assert await titles('"call ada"') == {"Call Ada"}
    assert await titles("friday or rest") == {"Pay invoices", "Rest"}
    assert await titles("invoice -call") == {"Pay invoices"}
    assert await titles("the & | ! ( ' \\ :*") == set()
    assert await titles("   ") == {"Pay invoices", "Call Ada", "Rest"}


@pytest.mark.parametrize("kind", ["bodies", "lists", "ids"])
async def test_what_makes_no_sense_is_refused_with_422(api: Api, kind: str) -> None:
    """Bad input is the sender's mistake, never a 500, and a misspelt filter does not return everything."""
    for wrong in {"bodies": BODIES, "lists": LISTS, "ids": IDS}[kind]:
        if kind == "bodies":
            answer = await api.call("ada", "POST", content=json.dumps(wrong))  # httpx itself would refuse NaN
        elif kind == "lists":
            answer = await api.call("ada", "GET", params=wrong)
        else:
            answer = await api.call("ada", "GET", f"/{wrong}")
        assert answer.status_code == 422, f"{wrong!r}: {answer.text}"
        assert answer.json()["detail"]


async def test_changing_a_title_to_null_is_refused(api: Api) -> None:
    """What must be there cannot be taken away."""
    task = (await api.call("ada", "POST", json={"title": "t"})).json()
    for change in ({"title": None}, {"title": ""}, {"priority": None}, {"completed": None}, {"tags": None}):
        assert (await api.call("ada", "PATCH", f"/{task['id']}", json=change)).status_code == 422


async def test_a_user_who_is_gone_cannot_create(api: Api, postgres: Postgres, tasks_database: str) -> None:
    """A token outlives its user; a task does not come into being without one, and the answer says so."""
    await api.call("ben", "POST", json={"title": "t"})
    postgres.execute("""DELETE FROM "user" WHERE id = 'ben'""", database=tasks_database)
    assert postgres.scalar("SELECT count(*) FROM tasks", database=tasks_database) == 0
    assert (await api.call("ben", "POST", json={"title": "t"})).status_code == 409


async def test_concurrent_completion_and_update_lose_nothing(api: Api) -> None:
    """Two requests that change different fields of one task both count."""
    task = (await api.call("ada", "POST", json={"title": "old"})).json()
    path = f"/{task['id']}"
    for number in range(10):
        title = f"title {number}"
        await api.call("ada", "PATCH", path, json={"completed": False})
        await asyncio.gather(
            api.call("ada", "PATCH", path, json={"title": title}), api.call("ada", "POST", f"{path}/complete")
        )
        found = (await api.call("ada", "GET", path)).json()
        assert (found["title"], found["completed"]) == (title, True)


async def test_the_documentation_names_every_route_and_its_errors(api: Api) -> None:
    """OpenAPI knows the routes, the security scheme and the statuses."""
    schema = (await api.http.get("/openapi.json")).json()
    tasks = {path: set(methods) for path, methods in schema["paths"].items() if path.startswith("/api")}
    assert tasks == {
        "/api/{user_id}/tasks": {"get", "post"},
        "/api/{user_id}/tasks/{task_id}": {"get", "patch", "delete"},
        "/api/{user_id}/tasks/{task_id}/complete": {"post"},
    }
    create = schema["paths"]["/api/{user_id}/tasks"]["post"]
    assert create["security"]
    assert {"201", "401", "403", "422"} <= set(create["responses"])
    assert (await api.http.get("/docs")).status_code == 200


async def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    """The page works without a network and cannot be turned against its user."""
    page = await api.http.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "innerHTML" not in page.text


async def test_the_demo_signs_in_any_of_its_users(api: Api) -> None:
    """What the page does first works."""
    users = (await api.http.get("/demo/users")).json()
    assert {user["id"] for user in users} == {"ada", "ben", "cleo"}
    token = (await api.http.post("/demo/token", json={"user_id": "ada"})).json()["token"]
    answer = await api.http.get("/api/ada/tasks", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_a_pooler_in_between_changes_nothing(tasks_pooled_url: str) -> None:
    """The identity belongs to the transaction, so it survives a pooler in transaction mode."""
    async with serving(tasks_pooled_url, pooler="transaction") as api:
        for user in ("ada", "ben", "ada"):
            await api.call(user, "POST", json={"title": f"of {user}"})
        for user, count in (("ada", 2), ("ben", 1), ("cleo", 0)):
            items = (await api.call(user, "GET")).json()["items"]
            assert [task["title"] for task in items] == [f"of {user}"] * count
