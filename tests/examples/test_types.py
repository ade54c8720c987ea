"""mypy catches a wrong schema before any database does (ADR-010), and the example itself is free of errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import BACKEND

REPOSITORY = BACKEND.parents[2]

PLANTED = """
from datetime import date

from app.models import Priority, Task
from app.schemas import TaskNew
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def planted(session: AsyncSession) -> None:
    select(Task).where(col(Task.titel) == "x")  # misspelt column
    select(Task).order_by(col(Task.create_at).desc())  # misspelt column
    Task(user_id="ada", title=7)  # wrong type
    Task(user_id="ada", title="x", due_date="tomorrow")  # wrong type
    Task(user_id="ada", title="x", prioritty=Priority.LOW)  # misspelt column
    TaskNew(title="x", priority="urgent")  # wrong type
    task = (await session.exec(select(Task))).one()
    days: int = task.due_date  # wrong type
    task.completed = "yes"  # wrong type
    print(task.ownr, days)  # misspelt column


async def right(session: AsyncSession) -> None:
    select(Task).where(col(Task.title) == "x").order_by(col(Task.created_at).desc())
    task = Task(user_id="ada", title="x", due_date=date(2030, 1, 1), priority=Priority.LOW)
    session.add(task)
    task.completed = True
    first: str = (await session.exec(select(Task))).one().title
    print(first)
"""


def mypy(*arguments: str | Path, cwd: Path = REPOSITORY) -> str:
    """Run mypy with the repository's settings and return what it says."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(REPOSITORY / "pyproject.toml"), "--no-error-summary"]
    return subprocess.run([*command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True).stdout


def test_planted_schema_errors_are_caught(tmp_path: Path) -> None:
    """Each misspelt column and each wrong type is an error on its line, and right code is none."""
    file = tmp_path / "planted.py"
    file.write_text(PLANTED)
    found = {int(number) for number in re.findall(r"planted\.py:(\d+): error", mypy(file))}
    expected = {number for number, line in enumerate(PLANTED.splitlines(), 1) if "  # " in line}
    assert found == expected


@pytest.mark.slow
def test_the_example_passes_mypy_strict() -> None:
    """What people copy has no type errors to copy."""
    assert mypy(BACKEND) == ""
