"""What each setting is, in words: its value, where it came from, what was adjusted; never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onetrip._core import pair
from onetrip._core.assemble import MIGRATION, PASSWORD, PASSWORD_FILE, URL

if TYPE_CHECKING:
    from onetrip._core.found import Found
    from onetrip._core.url import DatabaseUrl
    from onetrip.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """Say of one setting what it is, where it came from, and what was adjusted and why; secrets are masked."""

    name: str
    value: str
    source: str
    adjusted: str | None = None


def explain(
    settings: Settings, found: Found, migration: DatabaseUrl | None, notes: tuple[str, ...]
) -> list[Explanation]:
    """Explain every field in its order; ``migration`` is the URL that was given, ``notes`` are on the connection."""
    return [_explain(name, settings, found, migration, notes) for name in type(settings).model_fields]


def _explain(
    name: str, settings: Settings, found: Found, migration: DatabaseUrl | None, notes: tuple[str, ...]
) -> Explanation:
    source = found.where.get(name, "default")
    adjusted = found.adjusted.get(name)
    if name == URL and settings.url:
        adjusted = "; ".join(notes) or None
    elif name == MIGRATION and not migration:
        source = "derived from " + (found.called(URL) if settings.url else "the embedded server")
    return Explanation(name, _shown(name, settings, migration), source, adjusted)


def _shown(name: str, settings: Settings, migration: DatabaseUrl | None) -> str:
    value = getattr(settings, name)
    if name == URL:
        return str(settings.url) if settings.url else "embedded, started at the first use"
    if name == MIGRATION:
        url = migration or (pair.migration_url(settings.url, settings.pooler) if settings.url else None)
        return str(url) if url else "unknown: set it before migrating" if settings.url else "the embedded server"
    if name == PASSWORD:
        return "a function" if value else f"the one in {PASSWORD_FILE if settings.password_file else URL}"
    if name == PASSWORD_FILE:
        return str(value or "none")
    if name == "pooler" and value == "auto":
        return f"auto: {settings.endpoint.kind}"
    if isinstance(value, bool):
        return "on" if value else "off"
    extra = type(settings).model_fields[name].json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    return f"{value:g} {unit}".removesuffix("s" if value == 1 and unit != "s" else "") if unit else str(value)
