"""Who is asking: bearer tokens."""

import uuid
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .config import settings

ALGORITHM = "HS256"


def create_token(user_id: uuid.UUID) -> str:
    """Issue a token."""
    return jwt.encode({"sub": str(user_id)}, settings.secret_key, algorithm=ALGORITHM)


def token_user(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> uuid.UUID:
    """Return whose token this is."""
    try:
        return uuid.UUID(jwt.decode(given.credentials, settings.secret_key, algorithms=[ALGORITHM])["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise HTTPException(403, "Could not validate credentials") from None


TokenUser = Annotated[uuid.UUID, Depends(token_user)]
