"""A real PgBouncer before one of our clusters."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psycopg

from .missing import missing
from .postgres import APP, PASSWORDS, Postgres
from .process import ServerProcess, reachable, run
from .wait import until

ADMIN = "pgbouncer"
PoolMode = Literal["session", "transaction", "statement"]


BUILT = Path("onetrip-tests/pgbouncer")  # where tools/pgbouncer.sh puts it, below one of these
CACHES = (Path("/usr/local/lib"), Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))


@cache
def distribution() -> str:
    """Return the distribution's pgbouncer; Debian keeps it outside a user's PATH."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    return found or missing("PgBouncer", "apt-get install pgbouncer")


@cache
def recent() -> str:
    """Return a pgbouncer that follows prepared statements: the distribution's, or the one built from source."""
    for program in (shutil.which("pgbouncer", path="/usr/sbin"), *(str(folder / BUILT) for folder in CACHES)):
        if program and reachable(Path(program)) and follows_prepared(program):
            return program
    return missing("PgBouncer 1.21 or later", "tools/pgbouncer.sh builds it")


@cache
def version(program: str) -> str:
    """Return the version, like 1.18."""
    found = re.search(r"PgBouncer (\d+\.\d+)", run(program, "--version").stdout)
    assert found, "pgbouncer --version says something new"
    return found[1]


def follows_prepared(program: str) -> bool:
    """Say whether a pgbouncer knows ``max_prepared_statements``."""
    major, minor = version(program).split(".")
    return (int(major), int(minor)) >= (1, 21)


class PgBouncer(ServerProcess):
    """A pooler on a loopback port that serves every database and role of its upstream.

    ``program`` is the distribution's unless said otherwise. ``max_prepared_statements`` is 0, "do not follow them",
    whatever a version has as its default; more needs ``recent()``.
    """

    def __init__(
        self,
        upstream: Postgres,
        pool_mode: PoolMode = "transaction",
        *,
        program: str | None = None,
        max_prepared_statements: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__("pgbouncer")
        self.program = program or distribution()
        self.upstream = upstream
        self.settings: dict[str, Any] = {
            "listen_addr": self.host,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self.folder / "users",
            "admin_users": ADMIN,
            "pool_mode": pool_mode,
            "default_pool_size": 20,
            "max_client_conn": 500,
            "server_login_retry": 1,  # s; with the default of 15 a refused client waits for as long as that
            "pidfile": self.folder / "pgbouncer.pid",
        } | settings
        if max_prepared_statements or follows_prepared(self.program):
            self.settings["max_prepared_statements"] = max_prepared_statements
        users = PASSWORDS | {ADMIN: PASSWORDS[APP]}
        (self.folder / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))
        self._write_settings()

    def start(self) -> None:
        """Start the pooler and wait until it accepts connections; the upstream may be down."""
        self.settings["pidfile"].unlink(missing_ok=True)  # killed before it wrote its number, it left an empty file
        self.spawn(self.program, self.folder / "pgbouncer.ini")
        self.wait_until_accepting()

    def stop(self) -> None:
        """End the pooler at once and close its clients' connections."""
        self.end(signal.SIGTERM)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    @contextmanager
    def changed(self, **settings: Any) -> Iterator[None]:
        """Change settings for the time of a block; those that PgBouncer can change while it runs."""
        before = self.settings
        try:
            self.configure(**settings)
            yield
        finally:
            self.settings = before
            self.configure()

    def configure(self, **settings: Any) -> None:
        """Change settings and have the running pooler read them."""
        self.settings = self.settings | settings
        self._write_settings()
        self.admin("RELOAD")

    def admin(self, command: str) -> list[dict[str, Any]]:
        """Run a command on the admin console: SHOW POOLS, PAUSE, KILL …."""
        # The console speaks the simple protocol only; psycopg uses it when there are no parameters.
        with psycopg.connect(self.url(ADMIN, user=ADMIN, password=PASSWORDS[APP]), autocommit=True) as connection:
            cursor = connection.execute(command.encode())
            names = [column.name for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor] if names else []

    def clients(self, database: str) -> list[dict[str, Any]]:
        """Return the clients that are connected to a database."""
        return [client for client in self.admin("SHOW CLIENTS") if client["database"] == database]

    def servers(self, database: str) -> list[dict[str, Any]]:
        """Return the pooler's own connections to a database."""
        return [server for server in self.admin("SHOW SERVERS") if server["database"] == database]

    def forget(self, database: str) -> None:
        """Close every connection to a database, on both sides; the next client opens new ones."""
        if any(pool["database"] == database for pool in self.admin("SHOW POOLS")):
            self.admin(f'KILL "{database}"')
            self.admin(f'RESUME "{database}"')

    def free(self, database: str) -> None:
        """Wait until nobody uses a database through the pooler, then let go of it; who stays is a defect."""
        try:
            until(lambda: not self.clients(database), message=lambda: f"left open: {self.clients(database)}")
        finally:
            self.forget(database)

    def url(self, database: str = APP, *, user: str = APP, password: str | None = None, **query: Any) -> str:
        """Return the pooled URL of a database."""
        direct = self.upstream.url(database, user=user, password=password, **query)
        return direct.replace(f":{self.upstream.port}/", f":{self.port}/", 1)

    def _write_settings(self) -> None:
        """Write the whole file; a TLS upstream is verified, as a provider's pooler does."""
        upstream = f"* = host={self.upstream.host} port={self.upstream.port}"
        tls = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": self.upstream.ca_file}
        settings = self.settings | (tls if self.upstream.authority else {})
        lines = ["[databases]", upstream, "[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
