"""What is examined: the settings, the URL, and how a driver would connect with it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, cast

from onetrip._core.endpoint import Endpoint, describe
from onetrip._core.profile import ConnectProfile, connect_profile
from onetrip._core.secrets import remember
from onetrip._core.url import DatabaseUrl
from onetrip._engine.tls import ca_bundle
from onetrip.settings import Settings


@dataclass(frozen=True, slots=True)
class Target:
    """Hold what the route, the probe and the judge look at."""

    settings: Settings
    url: DatabaseUrl
    """With the password that a callable gave, where there is one."""
    endpoint: Endpoint
    profile: ConnectProfile

    @property
    def name(self) -> str:
        """What the user calls the URL."""
        return next(row.source for row in self.settings.explain() if row.name == "database_url").split()[-1]

    def line(self, url: DatabaseUrl | None = None) -> str:
        """Return the setting as a line, its password masked."""
        return f"DATABASE_URL={url or self.url}"


def aim(settings: Settings, url: DatabaseUrl | None = None) -> Target:
    """Make the target of the settings, or of another URL that belongs to them; starts the embedded server if need be.

    Raises ConfigurationError and LocalServerFailed.
    """
    wanted = url or settings.resolve_url()
    if settings.password is not None:
        wanted = replace(wanted, password=_fresh(settings.password))
    endpoint = describe(wanted, settings.pooler)
    profile = connect_profile(
        wanted, "psycopg", ca_bundle=ca_bundle(), application_name="onetrip doctor", pooled=endpoint.pooled
    )
    return Target(settings, wanted, endpoint, profile)


def _fresh(password: Any) -> str:
    given = password()
    if inspect.isawaitable(given):
        given = asyncio.run(cast(Coroutine[Any, Any, str], given))
    remember(str(given))
    return str(given)
