"""A project as ``alembic init`` makes it, with three lines for its env.py."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from onetrip import Settings

ROOT = Path(__file__).parents[2]
THREE_LINES = """
from tests.migrations.models import metadata
from onetrip import migrations
migrations.run(metadata)
"""


@dataclass
class Project:
    """A folder with an alembic.ini, an env.py and migrations."""

    folder: Path
    printed: io.StringIO = field(default_factory=io.StringIO)

    @property
    def ini(self) -> Path:
        return self.folder / "alembic.ini"

    def write_env(self, code: str) -> None:
        """Write the env.py."""
        (self.folder / "alembic" / "env.py").write_text(code)

    def write_revision(self, body: str) -> None:
        """Write the one migration, whose upgrade is ``body``."""
        head = "from alembic import context, op\nrevision, down_revision = '1', None\ndef upgrade():\n"
        indented = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
        (self.folder / "alembic" / "versions" / "1_.py").write_text(head + indented)

    def revision(self) -> str:
        """Return the text of the one migration."""
        (file,) = (self.folder / "alembic" / "versions").glob("*.py")
        return file.read_text()

    def config(self, url: str | None = None, **attributes: Any) -> Config:
        """Return what a program gives to Alembic's commands."""
        if url is not None:
            attributes["settings"] = Settings(database_url=url, tier="test")
        return Config(str(self.ini), attributes=attributes, stdout=self.printed, output_buffer=self.printed)

    def alembic(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the ``alembic`` command in this folder with nothing but these variables."""
        known = {"APP_ENV": "test", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        return subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.folder,
            env=known | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a project of stock files, but for the env.py."""
    made = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    command.init(Config(str(made.ini), stdout=made.printed), str(tmp_path / "alembic"))
    made.write_env(THREE_LINES)
    return made


@pytest.fixture
def failing_line(project: Project) -> Callable[..., str]:
    """Return a function that runs ``alembic``, which must fail with one line; it returns all output."""

    def run(*arguments: str, **environment: str) -> str:
        done = project.alembic(*arguments, **environment)
        assert done.returncode != 0, done.stdout
        lines = (done.stdout + done.stderr).splitlines()
        # Alembic itself says it twice where its logging goes to the terminal as well.
        rest = [line for line in lines if not line.startswith(("INFO ", "ERROR [alembic.util.messaging]"))]
        assert len(rest) == 1, rest
        assert rest[0].startswith("FAILED: ")
        return "\n".join(lines)

    return run
