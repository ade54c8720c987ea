"""Question: how long from the start of a process to its first row?

Fresh interpreters, each program's files in the page cache. The mark to compare with imports SQLModel and the driver and
runs one query by hand.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any

from bench.kept import keep, on_this_machine, table
from bench.rounds import Goal, interleaved, ratio
from bench.server import database
from bench.work import MODES, OURS, STOCK, Mode

BARE, MODEL = "by hand", "onetrip, a model"
HEAD = "import os, time\nurl = os.environ['BENCH_URL']\n"
TAIL = "\nassert row is not None\nprint(time.monotonic_ns(), flush=True)\nos._exit(0)\n"
QUERY = "SELECT id, name, count FROM bench_thing WHERE id = 7"
CLASS = """
class Thing(SQLModel, table=True):
    __tablename__ = "bench_thing"
    id: int | None = Field(default=None, primary_key=True)
    name: str
    count: int = 0
statement = select(Thing).where(Thing.id == 7)
"""

BY_HAND = {
    "psycopg sync": f"import sqlmodel, psycopg\nrow = psycopg.connect(url).execute('{QUERY}').fetchone()",
    "psycopg2": f"""import sqlmodel, psycopg2
cursor = psycopg2.connect(url).cursor()
cursor.execute('{QUERY}')
row = cursor.fetchone()""",
    "psycopg async": f"""import asyncio, sqlmodel, psycopg
async def main():
    connection = await psycopg.AsyncConnection.connect(url)
    return await (await connection.execute('{QUERY}')).fetchone()
row = asyncio.run(main())""",
    "asyncpg": f"""import asyncio, sqlmodel, asyncpg
async def main():
    return await (await asyncpg.connect(url)).fetchrow('{QUERY}')
row = asyncio.run(main())""",
}
STOCK_SYNC = (
    "from sqlmodel import Field, Session, SQLModel, create_engine, select"
    + CLASS
    + """
from sqlalchemy import make_url
engine = create_engine(make_url(url).set(drivername='postgresql+{driver}'))
with Session(engine) as session:
    row = session.exec(statement).one()"""
)
STOCK_ASYNC = (
    "import asyncio\nfrom sqlmodel import Field, SQLModel, select\n"
    "from sqlmodel.ext.asyncio.session import AsyncSession"
    + CLASS
    + """
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
async def main():
    engine = create_async_engine(make_url(url).set(drivername='postgresql+{driver}', query={{}}),
                                 connect_args={arguments})
    async with AsyncSession(engine) as session:
        return (await session.exec(statement)).one()
row = asyncio.run(main())"""
)
OURS_SYNC = """import sqlmodel
from onetrip import Database
from sqlalchemy import text
row = Database(url).fetch_one(text("{query}"))"""
OURS_ASYNC = """import asyncio, sqlmodel
from onetrip import AsyncDatabase
from sqlalchemy import text
row = asyncio.run(AsyncDatabase(url).fetch_one(text("{query}")))"""
MODEL_SYNC = f"""from sqlmodel import Field, SQLModel, select
from onetrip import Database{CLASS}
row = Database(url).fetch_one(statement)"""
MODEL_ASYNC = f"""import asyncio
from sqlmodel import Field, SQLModel, select
from onetrip import AsyncDatabase{CLASS}
row = asyncio.run(AsyncDatabase(url).fetch_one(statement))"""


def programs(mode: Mode) -> dict[str, str]:
    """Return what each contender's process runs."""
    arguments = {"ssl": False} if mode.driver == "asyncpg" else {"sslmode": "disable"}
    bodies = {
        BARE: BY_HAND[str(mode)],
        STOCK: (STOCK_SYNC if mode.blocking else STOCK_ASYNC).format(driver=mode.driver, arguments=arguments),
        OURS: (OURS_SYNC if mode.blocking else OURS_ASYNC).format(query=QUERY),
        MODEL: MODEL_SYNC if mode.blocking else MODEL_ASYNC,
    }
    return {name: HEAD + body + TAIL for name, body in bodies.items()}


def options(parser: argparse.ArgumentParser) -> None:
    """Say how often."""
    parser.add_argument("--rounds", type=int, default=15)


def run(chosen: argparse.Namespace) -> None:
    """Start every program in turn and keep the results."""
    rounds, modes = (1, MODES[:1]) if chosen.quick else (chosen.rounds, MODES)
    found: dict[str, Any] = {"rounds": rounds, "drivers": {}}
    goals: list[Goal] = []
    with database() as (_, url):
        for mode in modes:
            environment = _environment(f"{url}?sslmode=disable", mode)
            bodies = programs(mode)
            for body in bodies.values():
                _first_row(body, environment)  # bytecode, page cache
            took = interleaved({name: partial(_first_row, body, environment) for name, body in bodies.items()}, rounds)
            medians = {name: round(statistics.median(some) * 1000, 1) for name, some in took.items()}
            found["drivers"][str(mode)] = medians
            goals.append(Goal(f"{mode}: onetrip / by hand", ratio(took[OURS], took[BARE]), 1.1, at_most=True))
    keep("coldstart", found, _page(found), goals, quick=chosen.quick)


def _environment(url: str, mode: Mode) -> dict[str, str]:
    # Installers compile what they install: a library in its working tree may keep its bytecode too.
    ours = ("DATABASE_", "PG", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"BENCH_URL": url, "DATABASE_DRIVER": mode.driver, "APP_ENV": "production"}


def _first_row(program: str, environment: dict[str, str]) -> float:
    """Return the seconds from here, where the process starts, to the moment it has a row."""
    began = time.monotonic_ns()
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return (int(done.stdout) - began) / 1e9


def _page(found: dict[str, Any]) -> str:
    names = list(next(iter(found["drivers"].values())))
    rows = [
        [driver, *(f"{took[name]:.0f}" for name in names), f"{took[OURS] / took[BARE]:.2f}"]
        for driver, took in found["drivers"].items()
    ]
    title = "# From the start of a process to its first row\n\nMedians, in ms, of fresh interpreters."
    return on_this_machine(title) + "\n" + table(["driver", *names, "onetrip / by hand"], rows)
