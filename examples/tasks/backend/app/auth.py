"""Who is asking: a signed token (JWT), checked by our configuration, never by what the token says of itself."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import jwt
from fastapi import Depends, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from onetrip.errors import ConfigurationError

DEMO_TIERS = {"development", "test"}
SHARED_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}  # the least bytes of a secret, RFC 7518 section 3.2
MAX_USER_ID = 255


class AuthSettings(BaseSettings):
    """How tokens are checked. With neither secret nor key set, development and test make a secret for this run."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    algorithm: Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"] = (
        Field(default="HS256", validation_alias="TASKS_JWT_ALGORITHM")
    )
    secret: SecretStr | None = Field(default=None, validation_alias="TASKS_JWT_SECRET")
    jwks_url: str | None = Field(default=None, validation_alias="TASKS_JWKS_URL")
    audience: str = Field(default="tasks", validation_alias="TASKS_JWT_AUDIENCE", min_length=1)
    issuer: str = Field(default="tasks-demo", validation_alias="TASKS_JWT_ISSUER", min_length=1)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.algorithm in SHARED_SECRET:
            if self.jwks_url:
                raise ValueError(f"TASKS_JWKS_URL needs TASKS_JWT_ALGORITHM=EdDSA or the like, not {self.algorithm}")
            least = SHARED_SECRET[self.algorithm]
            if self.secret and len(self.secret.get_secret_value().encode()) < least:
                raise ValueError(f"TASKS_JWT_SECRET is too short for {self.algorithm}: at least {least} bytes")
        elif self.secret or not self.jwks_url:
            raise ValueError(f"TASKS_JWT_ALGORITHM={self.algorithm} takes its keys from TASKS_JWKS_URL, no secret")
        if self.jwks_url:
            url = urlsplit(self.jwks_url)
            if url.scheme != "https" and url.hostname not in {"localhost", "127.0.0.1", "::1"}:
                raise ValueError("TASKS_JWKS_URL must be https: whoever can change the keys can be anyone")
        return self


class Tokens:
    """Check tokens; issue them only in a demo, where the secret is random and gone with the process.

    Raise ConfigurationError outside development and test if there is neither secret nor JWKS.
    """

    def __init__(self, settings: AuthSettings, tier: str) -> None:
        self.settings = settings
        self.demo = settings.secret is None and settings.jwks_url is None
        if self.demo and tier not in DEMO_TIERS:
            raise ConfigurationError(
                f"tier {tier} has no key to check tokens with",
                hint="set TASKS_JWT_SECRET, or TASKS_JWT_ALGORITHM and TASKS_JWKS_URL",
            )
        self._secret = secrets.token_hex(32) if settings.secret is None else settings.secret.get_secret_value()
        self._jwks = jwt.PyJWKClient(settings.jwks_url, timeout=5) if settings.jwks_url else None

    async def user_id(self, token: str) -> str:
        """Return whose token this is; raise jwt.PyJWTError for one that is not valid here and now."""
        key = await asyncio.to_thread(self._jwks.get_signing_key_from_jwt, token) if self._jwks else self._secret
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[self.settings.algorithm],
            audience=self.settings.audience,
            issuer=self.settings.issuer,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
        user_id = claims["sub"]
        if not isinstance(user_id, str) or not user_id.isprintable() or not 0 < len(user_id) <= MAX_USER_ID:
            raise jwt.InvalidTokenError("not the id of a user")
        return user_id

    def issue(self, user_id: str, lifetime: timedelta = timedelta(hours=12)) -> str:
        """Sign a token of the demo; refuse outside of it."""
        if not self.demo:
            raise ConfigurationError("tokens come from the issuer that TASKS_JWT_* names; only the demo makes its own")
        claims = {"sub": user_id, "exp": datetime.now(UTC) + lifetime}
        claims |= {"aud": self.settings.audience, "iss": self.settings.issuer}
        return jwt.encode(claims, self._secret, algorithm=self.settings.algorithm)


bearer = HTTPBearer(auto_error=False, description="A JWT whose `sub` is the user id.")


async def current_user(
    user_id: Annotated[str, Path(min_length=1, max_length=MAX_USER_ID)],
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    """Return the id in the path if the token is that user's: 401 without a valid token, 403 for any other path.

    The 403 does not depend on whether the other user exists, so it tells nothing.
    """
    tokens: Tokens = request.app.state.tokens
    if credentials is None:
        raise _unauthorized("send a token: Authorization: Bearer …")
    try:
        owner = await tokens.user_id(credentials.credentials)
    except jwt.PyJWKClientConnectionError:
        raise HTTPException(503, "the keys to check tokens with cannot be reached") from None
    except jwt.ExpiredSignatureError:
        raise _unauthorized("the token has expired") from None
    except jwt.PyJWTError:
        raise _unauthorized("the token is not valid") from None
    if owner != user_id:
        raise HTTPException(403, "these are not your tasks")
    return owner


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


CurrentUser = Annotated[str, Depends(current_user)]
