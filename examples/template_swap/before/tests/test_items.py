"""Items over HTTP: the same tests before and after."""

import uuid

from app.security import create_token
from fastapi.testclient import TestClient


def test_who_am_i(client: TestClient, headers: dict[str, str]) -> None:
    """A token names its user."""
    answer = client.get("/users/me", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["email"] == "first@example.com"


def test_without_a_token_nothing_is_shown(client: TestClient) -> None:
    """Nobody is nobody."""
    assert client.get("/items").status_code in {401, 403}


def test_signing_up_twice(client: TestClient) -> None:
    """An email address is used once."""
    email = f"{uuid.uuid4()}@example.com"
    assert client.post("/users", json={"email": email}).status_code == 200
    assert client.post("/users", json={"email": email}).status_code == 409


def test_an_items_life(client: TestClient, headers: dict[str, str]) -> None:
    """It is made, read, changed and deleted."""
    made = client.post("/items", headers=headers, json={"title": "Buy milk", "description": "today"})
    assert made.status_code == 200
    path = f"/items/{made.json()['id']}"
    assert client.get(path, headers=headers).json() == made.json()
    changed = client.put(path, headers=headers, json={"title": "Buy bread"})
    assert changed.json() == made.json() | {"title": "Buy bread"}
    assert client.delete(path, headers=headers).status_code == 200
    assert client.get(path, headers=headers).status_code == 404


def test_a_page_of_items(client: TestClient, headers: dict[str, str]) -> None:
    """A list is cut into pages and says how many there are."""
    for number in range(3):
        client.post("/items", headers=headers, json={"title": f"item {number}"})
    page = client.get("/items", headers=headers, params={"limit": 2}).json()
    assert len(page["data"]) == 2
    assert page["count"] >= 3


def test_another_users_item_is_not_mine(client: TestClient, headers: dict[str, str]) -> None:
    """What is there and not mine answers as the template does: 400, not enough permissions."""
    other = client.post("/users", json={"email": f"{uuid.uuid4()}@example.com"}).json()
    item = client.post("/items", headers=headers, json={"title": "mine"}).json()
    theirs = {"Authorization": f"Bearer {create_token(uuid.UUID(other['id']))}"}
    assert client.get(f"/items/{item['id']}", headers=theirs).status_code == 400
    assert client.delete(f"/items/{item['id']}", headers=theirs).status_code == 400
