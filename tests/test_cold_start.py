"""What a process loads on its way to its first row, SQLModel apart."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, sys, sqlmodel
before, read = set(sys.modules), []
sys.addaudithook(lambda event, given: read.append(str(given[0])) if event == "open" else None)
from onetrip import AsyncDatabase, Database
from sqlalchemy import text
asked = {face}(os.environ["DATABASE_URL"]).fetch_one(text("SELECT 1"))
assert (asked if {face} is Database else asyncio.run(asked)) == (1,)
print(*sorted(set(sys.modules) - before))
print(*(name for name in read if name.endswith(("entry_points.txt", ".pem"))))
"""

OTHER_DRIVERS = {
    "psycopg": {"psycopg2", "asyncpg"},
    "psycopg2": {"psycopg", "asyncpg"},
    "asyncpg": {"psycopg", "psycopg2"},
}
FOR_LATER = {
    *("fastapi", "starlette", "alembic", "typer", "rich"),
    *("certifi", "difflib"),
    *("sqlalchemy.ext.asyncio", "sqlmodel.ext.asyncio", "onetrip._engine.request"),
    *("onetrip._core.classify", "onetrip._core.figures", "onetrip._core.backoff", "onetrip._explanation"),
    *("onetrip._engine.probe", "onetrip._engine.relay"),
}


@pytest.mark.parametrize(
    ("face", "driver"),
    [("Database", "psycopg"), ("Database", "psycopg2"), ("AsyncDatabase", "psycopg"), ("AsyncDatabase", "asyncpg")],
)
def test_a_first_row_loads_what_it_needs(face: str, driver: str, database_url: str) -> None:
    """No other driver, nothing for errors, figures, certificates or requests; no package's metadata."""
    environment = os.environ | {"DATABASE_URL": database_url, "DATABASE_DRIVER": driver, "APP_ENV": "production"}
    command = [sys.executable, "-c", PROGRAM.format(face=face)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded, read = done.stdout.splitlines()
    assert driver in loaded.split()
    assert (FOR_LATER | OTHER_DRIVERS[driver]) & set(loaded.split()) == set()
    assert read == ""
