"""The names of our environment variables, and the ones that were probably meant to be one of them."""

from collections.abc import Iterable, Mapping

FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "database_url": ("DATABASE_URL",),
    "migration_database_url": (
        "MIGRATION_DATABASE_URL",
        "DATABASE_URL_UNPOOLED",  # Neon, Vercel
        "DATABASE_URL_DIRECT",
        "DIRECT_DATABASE_URL",
        "DIRECT_URL",  # Prisma, Supabase
        "POSTGRES_URL_NON_POOLING",  # Vercel, Supabase
    ),
    "tier": ("APP_ENV",),
    "driver": ("DATABASE_DRIVER",),
    "pooler": ("DATABASE_POOLER",),
    "pool_min": ("DATABASE_POOL_MIN",),
    "pool_max": ("DATABASE_POOL_MAX",),
    "pool_timeout": ("DATABASE_POOL_TIMEOUT",),
    "connect_timeout": ("DATABASE_CONNECT_TIMEOUT",),
    "pool_lifetime": ("DATABASE_POOL_LIFETIME",),
    "pool_idle": ("DATABASE_POOL_IDLE",),
    "statement_timeout": ("DATABASE_STATEMENT_TIMEOUT",),
    "idle_in_transaction_timeout": ("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT",),
    "request_deadline": ("DATABASE_REQUEST_DEADLINE",),
    "password_file": ("DATABASE_PASSWORD_FILE",),
    "one_trip": ("DATABASE_ONE_TRIP",),
}
"""Which variables set which field, the first one found wins; the first name of each is ours, the others are customs."""

URL_FILE = "DATABASE_URL_FILE"
OURS = frozenset({names[0] for names in FIELD_NAMES.values()} | {URL_FILE})
_KNOWN = OURS | {name for names in FIELD_NAMES.values() for name in names}
_NEAR = 0.91  # of difflib's ratio: one or two letters


def near_misses(variables: Iterable[str], given: Iterable[str]) -> Mapping[str, str]:
    """Return which variables look like a misspelt name of ours, for names whose field is not ``given``.

    Platforms set many other DATABASE_* names (DATABASE_HOST, DATABASE_PRISMA_URL); those are no misses.
    """
    given = set(given)
    missing = [names[0] for field, names in FIELD_NAMES.items() if field not in given]
    found = {name: _meant(name, missing) for name in variables if name not in _KNOWN}
    return {name: meant for name, meant in found.items() if meant}


def _meant(name: str, missing: list[str]) -> str | None:
    spelt = name.upper()
    squeezed = spelt.replace("_", "").replace("-", "")
    for ours in missing:
        if squeezed == ours.replace("_", ""):
            return ours
    if "DAT" not in spelt:  # APP_ENV is too short for a guess
        return None
    from difflib import get_close_matches

    close = get_close_matches(spelt, missing, n=1, cutoff=_NEAR)
    return close[0] if close and not _is_a_name_of_its_own(spelt, close[0]) else None


def _is_a_name_of_its_own(name: str, ours: str) -> bool:
    """Say whether one continues the other: DATABASE_URL_2, DATABASE_POOL."""
    return name.startswith(ours + "_") or (ours.startswith(name) and len(ours) - len(name) > 1)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean …?", or the choices where nothing is close."""
    from difflib import get_close_matches

    choices = tuple(choices)
    close = get_close_matches(word.strip().lower(), choices, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(choices)}"
