"""The two sides of examples/template_swap, run as their developers would run them: from their own folder."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import jwt

from tests.harness.process import free_port
from tests.harness.wait import until

SWAP = Path(__file__).parents[2] / "examples" / "template_swap"
SECRET = "for tests only, and long enough for HS256"


def database_lines(path: Path) -> int:
    """Count what is neither blank nor comment nor docstring; 0 for a file that is not there."""
    if not path.exists():
        return 0
    lines = path.read_text().splitlines()
    skipped: set[int] = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if documented and ast.get_docstring(node) is not None:
                skipped |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    counted = (line.strip() for number, line in enumerate(lines, 1) if number not in skipped)
    return sum(bool(line) and not line.startswith("#") for line in counted)


@dataclass(frozen=True)
class Side:
    """``before`` or ``after``."""

    name: str

    @property
    def folder(self) -> Path:
        return SWAP / self.name

    def files(self) -> set[str]:
        """Return every file that belongs to the project."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if "__pycache__" not in path.parts}

    def environment(self, url: str, **more: str) -> dict[str, str]:
        """Return what names the database ``url``: six variables before, one after."""
        parts = urlsplit(url)
        named = {
            "POSTGRES_SERVER": parts.hostname or "",
            "POSTGRES_PORT": str(parts.port),
            "POSTGRES_USER": unquote(parts.username or ""),
            "POSTGRES_PASSWORD": unquote(parts.password or ""),
            "POSTGRES_DB": parts.path.removeprefix("/"),
        }
        own = named if self.name == "before" else {"DATABASE_URL": url, "APP_ENV": "test"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return own | {"PATH": path, "HOME": "/nonexistent", "SECRET_KEY": SECRET, "PYTHONDONTWRITEBYTECODE": "1"} | more

    def run(self, *command: str, url: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's commands to its end."""
        environment = self.environment(url, **more)
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    @contextmanager
    def serving(self, url: str, **more: str) -> Iterator[httpx.Client]:
        """Serve the application and talk to it."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"]
        server = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(url, **more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # A fresh connection each time: uvicorn hangs up after an error that nobody handled.
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=30, headers={"Connection": "close"}
            ) as client:
                until(lambda: server.poll() is not None or _answers(client), timeout=30, message=self.name)
                yield client
        finally:
            server.terminate()
            server.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        client.get("/openapi.json")
    except httpx.TransportError:
        return False
    return True


def signed_up(client: httpx.Client, email: str) -> dict[str, str]:
    """Sign up and return the headers of the new user."""
    answer = client.post("/users", json={"email": email})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {jwt.encode({'sub': answer.json()['id']}, SECRET, algorithm='HS256')}"}


BEFORE, AFTER = Side("before"), Side("after")
