"""Which server tests may use: the embedded one, or the one that somebody named for it."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from onetrip.errors import ConfigurationError, UnsafeUse
from onetrip.settings import Settings

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl

CONSENT = "ONETRIP_TEST_SERVER"


def run_settings() -> Settings:
    """Return the settings that a test run sees: those of the environment, in the tier "test"."""
    return Settings(tier="test")


def server_name(url: DatabaseUrl) -> str:
    """Return what a consent must say: every ``host:port`` that the URL may lead to."""
    hosts = [(host.name, host.port) for host in url.hosts] or [(os.environ.get("PGHOST", "local"), None)]
    named = ",".join(f"{name.lower()}:{port or os.environ.get('PGPORT') or 5432}" for name, port in hosts)
    aside = url.params.get("hostaddr") or os.environ.get("PGHOSTADDR")
    return "/".join(filter(None, [named, aside, url.params.get("service")]))


def require_consent(settings: Settings, consent: str) -> None:
    """Raise ``UnsafeUse`` unless tests may make databases on this server; opens no connection.

    A name, ``APP_ENV`` and an address prove nothing: loopback may be a tunnel, and a flag that says yes says yes to
    every server. So the consent names the server. An embedded server needs none: we made it.
    """
    if settings.url is None:
        return
    wanted = _servers(settings)
    missing = [name for name in wanted if name not in consent.lower().split()]
    if not missing:
        return
    source = next(row.source for row in settings.explain() if row.name == wanted[missing[0]])
    instead = f" ({CONSENT} names {consent.strip()})" if consent.strip() else ""
    line = " ".join(wanted)
    raise UnsafeUse(
        f"tests would run on the server {missing[0]} (from {source}), and nothing says it is for tests{instead}; "
        "it was not touched",
        hint="unset DATABASE_URL to test on the embedded server; if that server is for tests, set "
        f"{CONSENT}={shlex.quote(line)} (or onetrip_test_server = {line} in pytest's configuration)",
    )


def _servers(settings: Settings) -> dict[str, str]:
    """Return the servers that a run may reach, each with the setting that names it."""
    assert settings.url
    found = {server_name(settings.url): "database_url"}
    with suppress(ConfigurationError):  # nobody can tell what is behind the pooler, so nobody will go there
        found.setdefault(server_name(settings.migration_url), "migration_database_url")
    return found
