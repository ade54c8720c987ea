"""``onetrip url``: the database's URL as it is, past the pooler, or through it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from onetrip.cli._app import app

if TYPE_CHECKING:
    from onetrip._core.url import DatabaseUrl
    from onetrip.settings import Settings


@app.command()
def url(
    *,
    direct: Annotated[bool, typer.Option("--direct", help="Past any pooler.")] = False,
    pooled: Annotated[bool, typer.Option("--pooled", help="Through the provider's transaction pooler.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the password.")] = False,
) -> None:
    """Print DATABASE_URL, or the same database's direct or pooled one; exit with 1 where that is not known."""
    from onetrip.settings import Settings

    if direct and pooled:
        raise typer.BadParameter("--direct and --pooled exclude each other")
    settings = Settings()
    if settings.url is None:
        # Not started for this: whoever wants to look at it wants it to be there already.
        _give_up("DATABASE_URL is not set: the database is the embedded server", "onetrip local url prints its URL")
    found = _direct(settings) if direct else _pooled(settings) if pooled else settings.url
    if found is None:
        _give_up(*_unknown(settings, wanted="direct" if direct else "pooled"))
    found = _with_password(found, settings) if reveal else found
    print(found.render() if reveal else found.redacted())
    if not reveal and found.secrets():
        print("onetrip: the password is hidden; --reveal prints it", file=sys.stderr)


def _direct(settings: Settings) -> DatabaseUrl | None:
    from onetrip._core.endpoint import Kind, describe, direct_twin
    from onetrip._core.url import parse_url

    assert settings.url is not None
    if settings.endpoint.kind is Kind.DIRECT:
        return settings.url
    if settings.migration_database_url is not None:
        given = parse_url(settings.migration_database_url.get_secret_value())
        if describe(given).kind in {Kind.DIRECT, Kind.UNKNOWN}:
            return given
    return direct_twin(settings.url)


def _pooled(settings: Settings) -> DatabaseUrl | None:
    from onetrip._core.endpoint import pooled_twin

    assert settings.url is not None
    return settings.url if settings.endpoint.pooled else pooled_twin(settings.url)


def _unknown(settings: Settings, *, wanted: str) -> tuple[str, str]:
    provider = settings.endpoint.provider or "of no provider we know"
    what = f"DATABASE_URL ({provider}, {settings.endpoint.kind}) does not tell its {wanted} address"
    if wanted == "pooled":
        return what, "copy it from the provider's console; a PgBouncer of your own needs DATABASE_POOLER=transaction"
    return what, "set MIGRATION_DATABASE_URL to it; if DATABASE_URL is direct already, set DATABASE_POOLER=none"


def _with_password(url: DatabaseUrl, settings: Settings) -> DatabaseUrl:
    if settings.password_file is None or url.password is not None:
        return url
    from dataclasses import replace

    from onetrip._sources import read_secret

    return replace(url, password=read_secret(settings.password_file, "DATABASE_PASSWORD_FILE", "password"))


def _give_up(what: str, hint: str) -> NoReturn:
    print(f"onetrip: {what} → {hint}", file=sys.stderr)
    raise typer.Exit(1)
