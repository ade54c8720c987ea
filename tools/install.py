"""Make .venv hold what pyproject.toml asks for: usage ``python tools/install.py VENV``, run by make.

Runs on the user's own Python and the standard library. Only one process installs at a time, and an installation that
was interrupted is started afresh.
"""

import fcntl
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install"]


def main(venv: Path) -> None:
    """Install unless another process just did."""
    check_python()
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it when we and our pip are gone: never stale
        if not is_fresh(venv):
            install(venv, lock.fileno())


def check_python() -> None:
    """Refuse a Python that cannot make a virtual environment, as Debian's without python3-venv."""
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        package = f"python3.{sys.version_info[1]}-venv"
        sys.exit(f"{sys.executable} cannot make a virtual environment: apt-get install {package}, or make PYTHON=… …")


def is_fresh(venv: Path) -> bool:
    """Say whether the environment is complete, of this Python, and newer than pyproject.toml."""
    stamp = venv / ".installed"
    return (
        stamp.exists()
        and stamp.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime
        and version_of(venv) == sys.version_info[:2]
    )


def version_of(venv: Path) -> tuple[int, ...] | None:
    """Ask the environment's Python for its version; None when there is no working one."""
    program = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([venv / "bin/python", "-c", program], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(map(int, done.stdout.split()))


def install(venv: Path, lock: int) -> None:
    """Fill the environment between two marks: one says unfinished until the other says installed."""
    stamp, unfinished = venv / ".installed", venv / ".unfinished"
    if version_of(venv) != sys.version_info[:2] or unfinished.exists():
        shutil.rmtree(venv, ignore_errors=True)
    print(f"installing into {venv.name} (once, about a minute) …", flush=True)
    venv.mkdir(exist_ok=True)
    unfinished.touch()
    stamp.unlink(missing_ok=True)
    if not (venv / "bin/python").exists():
        run(lock, sys.executable, "-m", "venv", venv)
    run(lock, venv / "bin/python", *PIP, "pip>=25.1")  # the first that knows --group
    run(lock, venv / "bin/python", *PIP, "--editable", ".[all]", "--group", "dev")
    unfinished.unlink()
    stamp.touch()


def run(lock: int, *command: str | Path) -> None:
    """Run one step, which holds the lock as well; or end with its own words and ours."""
    done = subprocess.run(command, cwd=ROOT, pass_fds=[lock], check=False)
    if done.returncode:
        sys.exit("could not install what onetrip needs (see above): is the package index reachable from here?")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve())
    except KeyboardInterrupt:
        sys.exit(130)
