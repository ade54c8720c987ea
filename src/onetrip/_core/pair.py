"""The two URLs, for the application and for migrations: derived from each other, or checked against each other."""

from collections.abc import Iterator

from onetrip._core.endpoint import Kind, describe, session_twin
from onetrip._core.providers import neon_endpoint
from onetrip._core.url import DatabaseUrl

# There the pooler's database is a pool's name, chosen freely.
_POOL_NAMES = {"digitalocean"}


def migration_url(url: DatabaseUrl, pooler: str = "auto") -> DatabaseUrl | None:
    """Return where migrations go if nobody said it: the URL itself if it holds a session, else its twin that does.

    None where a transaction pooler stands in between and its naming does not tell what is behind.
    """
    if describe(url, pooler).kind is not Kind.TRANSACTION:
        return url
    twin = session_twin(url)
    if twin is None or describe(twin).kind is Kind.TRANSACTION or twin == url.with_params(pgbouncer=None):
        return None
    return twin


def contradictions(url: DatabaseUrl, migration: DatabaseUrl, names: tuple[str, str], pooler: str) -> Iterator[str]:
    """Yield, one line each, what speaks against the two belonging together; ``names`` is what the user calls them."""
    ours, theirs = names
    if _is_pooled(url, migration, pooler):
        twin = session_twin(migration)
        host = f" ({twin.hosts[0].name}:{twin.hosts[0].port or 5432})" if twin else ""
        yield (
            f"{theirs} leads through a transaction pooler, where migrations lose their locks and settings; "
            f"give the direct URL{host}"
        )
    database, other = url.database or url.user, migration.database or migration.user
    if database != other and describe(url).provider not in _POOL_NAMES:
        yield f"{ours} names the database {database!r} but {theirs} names {other!r}; let both name the same"
    elif (here := _neon_endpoint(url)) and (there := _neon_endpoint(migration)) and here != there:
        yield f"{ours} leads to the Neon endpoint {here} but {theirs} to {there}; let both lead to the same branch"


def _is_pooled(url: DatabaseUrl, migration: DatabaseUrl, pooler: str) -> bool:
    if migration.hosts == url.hosts:
        return describe(migration, pooler).kind is Kind.TRANSACTION
    return describe(migration).kind is Kind.TRANSACTION


def _neon_endpoint(url: DatabaseUrl) -> str | None:
    if describe(url).provider not in {"neon", "vercel"}:
        return None
    return (neon_endpoint(url) or "").lower().removesuffix("-pooler")
