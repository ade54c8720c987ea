"""``onetrip local``: the embedded server of this project."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import time
from typing import Annotated, NoReturn

import typer

from onetrip.cli._app import app
from onetrip.local import LocalServer

local = typer.Typer(
    help="PostgreSQL for development and tests, kept in this folder's .onetrip (ONETRIP_LOCAL_DIR names another).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(local, name="local")

Superuser = Annotated[bool, typer.Option("--superuser", help="Log in as postgres, not as the application's role.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@local.command()
def start() -> None:
    """Start the server and let it run until `onetrip local stop`."""
    server = LocalServer()
    since = time.monotonic()
    started = server.start(pin=True)
    seconds = time.monotonic() - since
    status = server.status()
    print(f"{f'started in {seconds:.2f} s' if started else 'already running'}: {status}")
    print(f"  {_hide(server.url())}   (onetrip local url --reveal)")


@local.command()
def stop() -> None:
    """End the server, whoever uses it; the data stay."""
    server = LocalServer()
    print(f"stopped: the data stay in {server.folder}" if server.stop() else f"not running: {server.folder}")


@local.command()
def status(*, as_json: AsJson = False) -> None:
    """Say whether the server runs, where and as which user; exit with 1 if it does not run."""
    found = LocalServer().status()
    if as_json:
        print(json.dumps(dataclasses.asdict(found), default=str))
    else:
        print(f"running: {found}" if found.running else str(found))
    raise typer.Exit(0 if found.running else 1)


@local.command()
def url(
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the password.")] = False,
    superuser: Superuser = False,
) -> None:
    """Print the URL of the running server."""
    full = LocalServer().url(superuser=superuser)
    print(full if reveal else _hide(full))
    if not reveal:
        print("onetrip: the password is hidden; --reveal prints it", file=sys.stderr)


@local.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, *, superuser: Superuser = False) -> NoReturn:
    """Open psql on the server, started for as long as psql runs; further arguments are psql's own."""
    from onetrip.local._binaries import wheel_programs

    server = LocalServer()
    server.start()
    full = server.url(superuser=superuser)
    server.outlive_exec()
    # PG* variables of the shell would steer psql elsewhere; the password must not be seen in the list of processes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["PGPASSWORD"] = _PASSWORD.findall(full)[0]
    program = str(wheel_programs() / "psql")
    os.execve(program, [program, "--dbname", _PASSWORD.sub("", full), *context.args], environment)  # noqa: S606 - no shell


_PASSWORD = re.compile(r"(?<=[a-z]):([^@/]+)(?=@)")


def _hide(full: str) -> str:
    return _PASSWORD.sub(":***", full)
