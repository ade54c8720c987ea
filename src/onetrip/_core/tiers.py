"""What differs between development, test, preview and production, and how to tell what kind of machine this is."""

from collections.abc import Mapping
from typing import Literal, get_args

Tier = Literal["development", "test", "preview", "production"]
TIERS: tuple[Tier, ...] = get_args(Tier)
TIER_ALIASES: dict[str, Tier] = {"dev": "development", "ci": "test", "staging": "preview", "prod": "production"}

POOL: dict[Tier, tuple[int, int]] = {"development": (5, 10), "test": (0, 5), "preview": (0, 10), "production": (20, 50)}
"""Smallest and largest pool by tier (ADR-007: 5 to 10 in development, 20 to 50 in production)."""

MAY_EMBED: tuple[Tier, ...] = ("development", "test")
"""Only there may a missing DATABASE_URL mean an embedded server."""

_FUNCTION_RUNTIMES = ("AWS_LAMBDA_FUNCTION_NAME", "VERCEL", "FUNCTIONS_WORKER_RUNTIME", "FUNCTION_TARGET")
_PLATFORMS = (
    *_FUNCTION_RUNTIMES,
    "KUBERNETES_SERVICE_HOST",
    "FLY_APP_NAME",
    "RENDER",
    "RAILWAY_ENVIRONMENT",
    "RAILWAY_ENVIRONMENT_NAME",
    "DYNO",
    "K_SERVICE",
)


def tier_named(text: str) -> Tier | None:
    """Return the tier that a name or alias means, whatever its case; None if it means none."""
    name = text.strip().lower()
    return TIER_ALIASES.get(name) or next((tier for tier in TIERS if tier == name), None)


def function_runtime(environment: Mapping[str, str]) -> str | None:
    """Return the variable that shows a function runtime, where a process serves one request at a time."""
    return next((name for name in _FUNCTION_RUNTIMES if environment.get(name)), None)


def deployment_platform(environment: Mapping[str, str]) -> str | None:
    """Return the variable that shows a deployment platform, whose disk is thrown away with the process."""
    return next((name for name in _PLATFORMS if environment.get(name)), None)
