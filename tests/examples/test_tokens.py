"""A token is believed for what our configuration says, and never for what it says of itself."""

import json
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from app.auth import AuthSettings, Tokens
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr, ValidationError

from onetrip.errors import ConfigurationError

from .conftest import Api, serving

SECRET = "correct horse battery staple, long enough"
SHARED = AuthSettings(secret=SecretStr(SECRET), issuer="https://auth.example", audience="api")
GOOD = {"sub": "ada", "aud": "api", "iss": "https://auth.example"}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Sign a token that is right but for what is given; None leaves a claim out."""
    whole = GOOD | {"exp": datetime.now(UTC) + timedelta(minutes=5)} | claims
    whole = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(whole, key, algorithm=algorithm, headers=headers)


async def status(api: Api, token: str | None, user: str = "ada") -> int:
    """Return how a request with that token is answered."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    answer = await api.http.get(f"/api/{user}/tasks", headers=headers)
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    return answer.status_code


async def test_a_right_token_opens_ones_own_tasks_and_no_others(tasks_url: str) -> None:
    """200 for oneself, 403 for anybody else, whether they exist or not."""
    async with serving(tasks_url, SHARED) as api:
        assert await status(api, signed()) == 200
        assert await status(api, signed(aud=["other", "api"])) == 200
        assert await status(api, signed(), user="ben") == 403
        assert await status(api, signed(), user="nobody") == 403


async def test_a_wrong_token_is_refused(tasks_url: str) -> None:
    """Whatever is wrong with it: 401, and the database is not asked."""
    now = datetime.now(UTC)
    header, payload, signature = signed().split(".")
    other_payload = signed(sub="ben").split(".")[1]
    wrong = {
        "no token": None,
        "nothing": "",
        "garbage": "garbage",
        "two parts": f"{header}.{payload}",
        "cut signature": f"{header}.{payload}.{signature[:-2]}",
        "no signature": f"{header}.{payload}.",
        "another payload": f"{header}.{other_payload}.{signature}",
        "another key": signed("x" * 40),
        "none": jwt.encode(GOOD | {"exp": now + timedelta(1)}, None, algorithm="none"),
        "HS512 with the right key": signed(SECRET.ljust(64), algorithm="HS512"),
        "HS384 with the right key": signed(SECRET.ljust(48), algorithm="HS384"),
        "expired": signed(exp=now - timedelta(seconds=1)),
        "not yet": signed(nbf=now + timedelta(minutes=1)),
        "no exp": signed(exp=None),
        "no aud": signed(aud=None),
        "no iss": signed(iss=None),
        "no sub": signed(sub=None),
        "wrong aud": signed(aud="other"),
        "wrong iss": signed(iss="https://auth.example.evil"),
        "empty sub": signed(sub=""),
        "NUL in sub": signed(sub="ada\0"),
        "long sub": signed(sub="a" * 256),
        "own key in the header": signed("x" * 40, headers={"jwk": {"kty": "oct", "k": "eHh4"}, "kid": "1"}),
    }
    async with serving(tasks_url, SHARED) as api:
        for what, token in wrong.items():
            assert await status(api, token) == 401, what
        assert api.db.stats().opened == 0


class Keys(BaseHTTPRequestHandler):
    """Serve a JWKS as Better Auth's JWT plugin does."""

    keys: dict[str, Any]
    asked = 0

    def do_GET(self) -> None:
        """Answer with the keys."""
        type(self).asked += 1
        body = json.dumps(self.keys).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def jwks() -> Iterator[tuple[str, Ed25519PrivateKey, type[Keys]]]:
    """Serve one Ed25519 key with the id "one"."""
    key = Ed25519PrivateKey.generate()
    public = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(key.public_key()))
    handler = type("Handler", (Keys,), {"keys": {"keys": [public | {"kid": "one", "alg": "EdDSA"}]}, "asked": 0})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks", key, handler
    server.shutdown()
    thread.join()
    server.server_close()


async def test_keys_from_a_jwks_are_used_and_no_token_can_swap_the_algorithm(
    tasks_url: str, jwks: tuple[str, Ed25519PrivateKey, type[Keys]]
) -> None:
    """The public key is public: as a shared secret it opens nothing."""
    url, key, handler = jwks
    settings = AuthSettings(algorithm="EdDSA", jwks_url=url, issuer="https://auth.example", audience="api")
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    async with serving(tasks_url, settings) as api:
        assert await status(api, signed(key, "EdDSA", headers={"kid": "one"})) == 200
        assert await status(api, signed(public, "HS256", headers={"kid": "one"})) == 401
        assert await status(api, jwt.encode(GOOD, None, "none", headers={"kid": "one"})) == 401
        assert await status(api, signed(Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": "one"})) == 401
        assert await status(api, signed(key, "EdDSA")) == 401
        for _ in range(20):
            assert await status(api, signed(key, "EdDSA", headers={"kid": secrets.token_hex(4)})) == 401
    assert handler.asked <= 2, "an invented key id must not make us ask the issuer each time"


async def test_keys_that_cannot_be_fetched_are_a_503(tasks_url: str) -> None:
    """It is not the caller's fault, and it will pass."""
    settings = AuthSettings(algorithm="EdDSA", jwks_url="http://127.0.0.1:9/jwks", issuer="https://auth.example")
    async with serving(tasks_url, settings) as api:
        answer = await api.http.get(
            "/api/ada/tasks",
            headers={"Authorization": f"Bearer {signed(Ed25519PrivateKey.generate(), 'EdDSA', {'kid': 'one'})}"},
        )
        assert answer.status_code == 503


@pytest.mark.parametrize("tier", ["preview", "production"])
def test_a_tier_that_faces_users_does_not_start_without_a_key(tier: str) -> None:
    """A forgotten variable must not open the door to a secret nobody knows, or everybody."""
    with pytest.raises(ConfigurationError, match="TASKS_JWT_SECRET"):
        Tokens(AuthSettings(), tier)


async def test_with_a_key_of_its_own_the_application_issues_no_tokens(tasks_url: str) -> None:
    """In production, or anywhere with a real key, the demo's endpoints are not there."""
    for tier in ("production", "development"):
        async with serving(tasks_url, SHARED, tier=tier) as api:
            for method, path in (("POST", "/demo/token"), ("GET", "/demo/users")):
                assert (await api.http.request(method, path, json={"user_id": "ada"})).status_code == 404
            with pytest.raises(ConfigurationError):
                api.tokens.issue("ada")


def test_the_secret_of_a_demo_is_random_in_each_run() -> None:
    """A token of yesterday's demo is worth nothing today."""
    first, second = Tokens(AuthSettings(), "test"), Tokens(AuthSettings(), "test")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(first.issue("ada"), second._secret, algorithms=["HS256"], audience="tasks")


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": SecretStr("short")},
        {"secret": SecretStr("x" * 32), "algorithm": "HS512"},
        {"secret": SecretStr(SECRET), "jwks_url": "https://auth.example/jwks"},
        {"secret": SecretStr(SECRET), "algorithm": "RS256"},
        {"algorithm": "RS256"},
        {"algorithm": "none"},
        {"algorithm": "EdDSA", "jwks_url": "http://auth.example/jwks"},
        {"algorithm": "EdDSA", "jwks_url": "file:///etc/passwd"},
        {"secret": SecretStr(SECRET), "audience": ""},
    ],
)
def test_a_configuration_that_would_be_unsafe_is_refused(wrong: dict[str, Any]) -> None:
    """Short secrets, keys without TLS, contradictions; and the secret is not in the message."""
    with pytest.raises(ValidationError) as refused:
        AuthSettings(**wrong)
    assert SECRET not in str(refused.value)


async def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting has a variable."""
    monkeypatch.setenv("TASKS_JWT_SECRET", SECRET)
    monkeypatch.setenv("TASKS_JWT_ISSUER", "https://auth.example")
    monkeypatch.setenv("TASKS_JWT_AUDIENCE", "api")
    assert await Tokens(AuthSettings(), "production").user_id(signed()) == "ada"
    monkeypatch.setenv("TASKS_JWT_ALGORITHM", "HS512")
    with pytest.raises(ValidationError, match="at least 64 bytes"):
        AuthSettings()
