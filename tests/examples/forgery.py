"""Tokens that must not be believed, each wrong in one thing."""

import base64
import hashlib
import hmac
import json
import random
from datetime import UTC, datetime, timedelta

import jwt
from app.auth import Tokens
from cryptography.hazmat.primitives.asymmetric import rsa

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def forge(tokens: Tokens, attacker: str, victim: str, dice: random.Random) -> str:
    """Return a token that says "victim" and must not be believed."""
    settings, genuine = tokens.settings, tokens.issue(attacker)
    now = datetime.now(UTC)
    good = {"sub": victim, "exp": now + timedelta(hours=1), "aud": settings.audience, "iss": settings.issuer}
    secret = tokens._secret  # what an attacker does not have; only to make tokens wrong in one thing alone
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


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
