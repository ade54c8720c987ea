"""A project folder, and what its user does there."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import psycopg

from tests.local.python import normal_user, python_for_all

CLI = "from onetrip.cli import main; main()"
USE = "import sys; from onetrip.local import ensure_url; print(ensure_url(), flush=True); sys.stdin.read()"


@dataclass
class Project:
    """A folder, a system user, and what that user does there."""

    base: Path
    folder: Path
    interpreter: str
    run_as: dict[str, Any]
    environment: dict[str, str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def onetrip(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        return self._run([self.interpreter, "-c", CLI, *arguments], environment)

    def python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return self._run([self.interpreter, "-c", code], environment)

    def user(self, code: str = USE) -> tuple[subprocess.Popen[str], str]:
        """Start a program that uses the server until its stdin is closed; return it with the URL it printed."""
        process = subprocess.Popen(
            [self.interpreter, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=self.folder, env=self.environment, start_new_session=True, **self.run_as,
        )  # fmt: skip
        self._started.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("postgresql://"), process.communicate()[1]
        return process, url

    def leave(self, process: subprocess.Popen[str]) -> str:
        """End a user in order; return what it had said on stderr."""
        return process.communicate(timeout=20)[1]

    def status(self) -> dict[str, Any]:
        """Return what ``onetrip local status --json`` says."""
        return json.loads(self.onetrip("local", "status", "--json").stdout)

    @cached_property
    def data_folder(self) -> Path:
        """Where the server of this project keeps everything."""
        return Path(self.status()["folder"])

    @property
    def keys(self) -> dict[str, Any]:
        """Return port and passwords, as they are on disk."""
        return json.loads((self.data_folder / "server.json").read_text())

    @property
    def url(self) -> str:
        """Return the application's URL with its password."""
        return f"postgresql://onetrip:{self.keys['password']}@127.0.0.1:{self.keys['port']}/app"

    @property
    def superuser_url(self) -> str:
        """Return the superuser's URL with its password."""
        return f"postgresql://postgres:{self.keys['superuser_password']}@127.0.0.1:{self.keys['port']}/app"

    def postmaster(self) -> int | None:
        """Return the postmaster's process id, from the file and without our own code."""
        try:
            number = int((self.data_folder / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(number, 0)
        except (FileNotFoundError, ProcessLookupError):
            return None
        except PermissionError:
            pass
        return number

    def clean(self) -> None:
        """End and remove everything of this project."""
        for process in self._started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        data = self.data_folder
        if self.postmaster():
            self.onetrip("local", "stop")
        assert {"onetrip", ".onetrip"} & {data.name, data.parent.name}, data
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(self.base)

    def _run(self, argv: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=self.environment | environment, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False, **self.run_as,
        )  # fmt: skip


def query(url: str, sql: str) -> Any:
    """Run one statement and return its first value, if it has one."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def make_project(account: str, name: str = "project") -> Project:
    """Return an empty project of root, or of somebody who is not root."""
    python, its_own, run_as = sys.executable, dict[str, str](), dict[str, Any]()
    if account == "user":
        run_as = normal_user()
        python, its_own = python_for_all()
    base = Path(tempfile.mkdtemp(prefix="onetrip-test-"))
    folder = base / name
    folder.mkdir(parents=True)
    for path in (base, *[parent for parent in folder.parents if base in parent.parents], folder):
        os.chown(path, run_as.get("user", -1), run_as.get("group", -1))
    environment = {"PATH": os.environ["PATH"], "HOME": str(base), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    return Project(base, folder, python, run_as, environment | its_own)


@cache
def _initialised(account: str) -> Project:
    """Return a project whose server has run once, to be copied: initdb is most of what a first start takes."""
    made = make_project(account)
    atexit.register(made.clean)
    for command in ("start", "stop"):
        done = made.onetrip("local", command)
        assert done.returncode == 0, done.stderr
    return made


def initialised_project(account: str) -> Project:
    """Return a project that has a database already, and no server."""
    made = make_project(account)
    subprocess.run(["cp", "-a", _initialised(account).data_folder, made.data_folder], check=True)
    return made
