"""Which server tests may use: the embedded one, or the one that somebody named for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onetrip.errors import UnsafeUse
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
    return "/".join(filter(None, [named, url.params.get("hostaddr"), url.params.get("service")]))


def require_consent(settings: Settings, consent: str) -> None:
    """Raise ``UnsafeUse`` unless tests may make databases on this server; opens no connection.

    A name, ``APP_ENV`` and an address prove nothing: loopback may be a tunnel, and a flag that says yes says yes to
    every server. So the consent names the server. An embedded server needs none: we made it.
    """
    if settings.url is None:
        return
    wanted = server_name(settings.url)
    if wanted in consent.lower().split():
        return
    source = next(row.source for row in settings.explain() if row.name == "database_url")
    instead = f" ({CONSENT} names {consent.strip()})" if consent.strip() else ""
    raise UnsafeUse(
        f"tests would run on the server {wanted} (from {source}), and nothing says it is for tests{instead}; "
        "it was not touched",
        hint=f"unset DATABASE_URL to test on the embedded server; if that server is for tests, set {CONSENT}={wanted} "
        "(or onetrip_test_server in pytest's configuration)",
    )
