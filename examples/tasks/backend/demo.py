"""``make demo``: migrate, seed, serve, and say what to try.

Everything comes from the environment: DATABASE_URL (without it, an embedded server), SEED_USERS, SEED_TASKS, PORT.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import uvicorn
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from app.main import create_app
from app.models import User
from fastapi import FastAPI
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from seed import seed
from sqlmodel import col, select

from onetrip import AsyncDatabase, Settings
from onetrip.errors import ConfigurationError, OnetripError

HERE = Path(__file__).parent
say = Console(highlight=False, soft_wrap=True)


class DemoSettings(BaseSettings):
    """How big, and where."""

    seed_users: int = Field(default=1_000, ge=0, le=1_000_000)
    seed_tasks: int = Field(default=100, ge=0, le=100_000)
    port: int = Field(default=8000, ge=0, le=65_535)


class Demo(uvicorn.Server):
    """A server that says something once it answers."""

    announce: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        await super().startup(sockets)
        if self.started:
            self.announce()


def main() -> None:
    """Run the demo until Ctrl-C."""
    # SIGTERM ends it the way Ctrl-C does, so that the embedded server goes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        demo = DemoSettings()
        settings = Settings()
        listener = listen(demo.port)
        app = create_app(AsyncDatabase(settings=settings))
        asyncio.run(meet(settings))
        migrate(settings)
        fill(settings, demo)
        asyncio.run(serve(app, listener))
    except KeyboardInterrupt:
        say.print("\nstopped")
    except (ConfigurationError, ValidationError) as error:
        leave(error, code=2)
    except (OnetripError, CommandError) as error:
        leave(error, code=1)


def listen(port: int) -> socket.socket:
    """Take the port first: who has to wait for a seed should not learn afterwards that it is in use."""
    # Named as TCP, or asyncio does not set TCP_NODELAY on what it accepts, and each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        raise ConfigurationError(f"port {port} is in use", hint=f"PORT={port + 1} make demo") from None
    return listener


async def meet(settings: Settings) -> None:
    """Raise at once if there is no database: a migration would wait for one, but here somebody is watching."""
    async with AsyncDatabase(settings=settings) as db:
        await db.ping()


def migrate(settings: Settings) -> None:
    """Bring the schema up to date, over the direct endpoint."""
    config = Config(str(HERE / "alembic.ini"), attributes={"settings": settings})
    command.upgrade(config, "head")


def fill(settings: Settings, demo: DemoSettings) -> None:
    """Seed what is missing, with a progress bar."""
    if not demo.seed_users:
        return
    wanted = f"{demo.seed_users:,} users × {demo.seed_tasks:,} tasks"
    columns = (TextColumn("seeding"), BarColumn(), MofNCompleteColumn(), TextColumn("tasks"), TimeRemainingColumn())
    with Progress(*columns, console=say, transient=True) as bar:
        task = bar.add_task("seeding", total=None)
        done = seed(
            settings.migration_url.render(),
            demo.seed_users,
            demo.seed_tasks,
            progress=lambda rows, all_rows: bar.update(task, completed=rows, total=all_rows),
        )
    if done.users:
        say.print(f"seeded {done.users:,} users and {done.tasks:,} tasks in {done.seconds:.1f} s")
    else:
        say.print(f"seeded already ({wanted} asked for): nothing added")


async def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve until a signal; print what to try once the server answers."""
    user = await app.state.db.fetch_one(select(User).order_by(col(User.id)).limit(1))
    server = Demo(uvicorn.Config(app, log_level="warning"))
    server.announce = lambda: what_to_try(app, user, listener.getsockname()[1])
    await server.serve(sockets=[listener])


def what_to_try(app: FastAPI, user: User | None, port: int) -> None:
    """Print the page, the documentation and one curl line."""
    here = f"http://127.0.0.1:{port}"
    say.print(f"\nthe page   {here}/\nthe API    {here}/docs")
    if user and app.state.tokens.demo:
        token = app.state.tokens.issue(user.id)
        say.print(f"a request of {user.name}, ready to paste:\n")
        say.print(f"curl -H 'Authorization: Bearer {token}' '{here}/api/{user.id}/tasks?limit=3'\n", markup=False)
    say.print("Ctrl-C ends it")


def leave(error: Exception, code: int) -> NoReturn:
    """Say what is wrong, without a traceback, and leave."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_input=False)[0]
        error = ConfigurationError(": ".join([*(str(part).upper() for part in wrong["loc"]), wrong["msg"]]))
    say.print(f"demo: {error.line if isinstance(error, OnetripError) else error}", style="red", markup=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
