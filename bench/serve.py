"""The servers under test, which end with their block: PostgreSQL in a folder of its own, and the tasks application."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from onetrip.local import LocalServer

ROOT = Path(__file__).resolve().parents[1]
BACKEND = ROOT / "examples/tasks/backend"

# What a server of this size is given in life; durability stays on. The last ones only make it say more.
POSTGRES = {
    "shared_buffers": "2GB",
    "max_wal_size": "16GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_min_duration_statement": "50",
    "log_checkpoints": "on",
    "log_autovacuum_min_duration": "0",
}


def postgres(name: str) -> LocalServer:
    """Return the server of the bench; root's lives where the user it runs as can reach it."""
    folder = Path("/var/lib/onetrip") / f"bench-{name}" if os.geteuid() == 0 else ROOT / ".onetrip-bench" / name
    return LocalServer(folder, settings=POSTGRES)


@dataclass(frozen=True)
class Application:
    """A running application: where, and its first process."""

    port: int
    process: psutil.Process


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time that a process and its children have used; children that ended meanwhile are left out."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += sum(member.cpu_times()[:2])
    return total


@contextmanager
def application(url: str, secret: str, *, workers: int = 1, pool: int = 10) -> Iterator[Application]:
    """Serve the tasks application on a free port until the block ends."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TASKS_", "PG"))},
        "DATABASE_URL": url,
        "DATABASE_POOL_MIN": str(pool),
        "DATABASE_POOL_MAX": str(pool),
        "APP_ENV": "production",
        "TASKS_JWT_SECRET": secret,
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0", "--no-access-log"]
    with tempfile.NamedTemporaryFile("w+", prefix="bench-uvicorn-") as log:  # a pipe that nobody reads stalls a server
        server = subprocess.Popen([*command, "--workers", str(workers)], cwd=BACKEND, env=environment, stderr=log)
        try:
            yield Application(_port(server, Path(log.name), workers), psutil.Process(server.pid))
        finally:
            _end(server)


def _port(server: subprocess.Popen[bytes], log: Path, workers: int) -> int:
    """Read what uvicorn logs until all its workers serve."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and server.poll() is None:
        said = log.read_text()
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", said)
        if found and said.count("startup complete") == workers:
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit("the application did not start:\n" + log.read_text())


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
