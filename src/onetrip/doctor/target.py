"""What is examined: the settings, the URL, and how a driver would connect with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from onetrip._core.endpoint import Endpoint, describe
from onetrip._core.profile import ConnectProfile, connect_profile
from onetrip._core.url import DatabaseUrl
from onetrip._engine import bridge
from onetrip._engine.passwords import Passwords
from onetrip._engine.tls import ca_bundle
from onetrip.settings import Settings


@dataclass(frozen=True, slots=True)
class Target:
    """Hold what the route, the probe and the judge look at."""

    settings: Settings
    url: DatabaseUrl
    """With the password of the moment, where a callable or a file gives it."""
    endpoint: Endpoint
    profile: ConnectProfile
    environment: Mapping[str, str]
    name: str = "DATABASE_URL"

    def line(self, url: DatabaseUrl | None = None) -> str:
        """Return the setting as a line, its password masked."""
        return f"{self.name}={url or self.url}"


def aim(settings: Settings, environment: Mapping[str, str]) -> Target:
    """Make the target of the settings; starts the embedded server where there is no URL.

    Raises ConfigurationError and LocalServerFailed.
    """
    url = _with_password(settings, settings.resolve_url())
    return _target(settings, url, describe(url, settings.pooler), environment, "DATABASE_URL")


def aim_at_migrations(target: Target) -> Target | None:
    """Make the target of migrations; None where they go the same way. Raises ConfigurationError where it is unknown."""
    settings = target.settings
    url = settings.migration_url
    if (url.hosts, url.database) == (target.url.hosts, target.url.database):
        return None
    given = next(row.source for row in settings.explain() if row.name == "migration_database_url")
    name = given.split()[-1] if given.startswith(("environment ", ".env ")) else "MIGRATION_DATABASE_URL"
    return _target(settings, _with_password(settings, url), describe(url), target.environment, name)


def _target(
    settings: Settings, url: DatabaseUrl, endpoint: Endpoint, environment: Mapping[str, str], name: str
) -> Target:
    profile = connect_profile(
        url, "psycopg", ca_bundle=ca_bundle, application_name="onetrip doctor", pooled=endpoint.pooled
    )
    return Target(settings, url, endpoint, profile, environment, name)


def _with_password(settings: Settings, url: DatabaseUrl) -> DatabaseUrl:
    if settings.password is None and settings.password_file is None:
        return url
    passwords = Passwords(settings)
    if settings.password is None:
        return replace(url, password=passwords.current())
    return replace(url, password=asyncio.run(bridge.in_greenlet(passwords.current)))  # the callable may be async
