"""A real PostgreSQL cluster in a temporary folder."""

import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from .binaries import Binaries
from .certificates import Authority, Certificate
from .process import ServerProcess, identity, new_folder, run
from .wait import until

SUPERUSER = "postgres"
APP = "app"  # the application's role and its database; may create databases and roles, is no superuser
PASSWORDS = {SUPERUSER: secrets.token_hex(12), APP: secrets.token_hex(12)}

SETTINGS: dict[str, Any] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": 100,
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_line_prefix": "%m [%p] %u@%d %a ",
}
BOOTSTRAP = f"""
CREATE ROLE {APP} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORDS[APP]}'
CREATE DATABASE {APP} OWNER {APP}
"""  # single-user mode reads one statement a line

STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@dataclass(frozen=True)
class Backend:
    """One client's connection as the server sees it."""

    pid: int
    user: str | None
    database: str | None
    application_name: str
    state: str | None
    query: str


class Postgres(ServerProcess):
    """A cluster of our own on a loopback port, with SCRAM passwords and, when asked, nothing but TLS."""

    def __init__(self, binaries: Binaries, *, tls: bool = False, **settings: Any) -> None:
        super().__init__(f"postgres-{binaries.name}")
        self.binaries = binaries
        self.data = self.folder / "data"
        self.settings = SETTINGS | {"port": self.port} | settings
        self.authority: Authority | None = None
        run("cp", "-R", _template(binaries), self.data)
        self.data.chmod(0o700)
        if tls:
            self._enable_tls()
        self.write_settings()
        hba = [f"{'hostssl' if tls else 'host'} all all 127.0.0.1/32 scram-sha-256"]
        (self.data / "pg_hba.conf").write_text("\n".join(hba) + "\n")

    # Life

    def start(self, timeout: float = 20.0) -> None:
        """Start the server and wait until it accepts sessions."""
        end_of_others = "pre-existing shared memory block"  # the children of a killed postmaster take a moment to go
        offset = len(self.log_text())
        self.spawn(self.binaries.folder / "postgres", "-D", self.data)
        until(lambda: not self.running or self._ready(), timeout=timeout, message=self.tail)
        if not self.running and end_of_others in self.log_text()[offset:] and timeout > 0:
            self.start(timeout - 1)
        assert self.running, f"PostgreSQL ended at start:\n{self.tail()}"

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast", timeout: float = 20.0) -> None:
        """Stop the server: ``smart`` waits for clients, ``fast`` sends them 57P01, ``immediate`` drops them."""
        self.end(STOP[mode], timeout)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop and start on the same port."""
        self.stop(mode)
        self.start()

    def reload(self) -> None:
        """Have the running server read its settings again, and wait until it has."""
        before = self.scalar("SELECT pg_conf_load_time()")
        self.scalar("SELECT pg_reload_conf()")
        until(lambda: self.scalar("SELECT pg_conf_load_time()") != before, message="the settings were not read again")

    @contextmanager
    def changed(self, **settings: Any) -> Iterator[None]:
        """Change settings that need no restart for the time of a block."""
        before = self.settings
        try:
            self.configure(**settings)
            yield
        finally:
            self.settings = before
            self.configure()

    def configure(self, **settings: Any) -> None:
        """Change settings; one that needs a restart waits for the next start."""
        self.settings = self.settings | settings
        self.write_settings()
        if self.running:
            self.reload()

    def write_settings(self) -> None:
        """Write the whole of postgresql.conf; the server reads it when it is told to."""
        quoted = {name: str(value).replace("'", "''") for name, value in self.settings.items()}
        (self.data / "postgresql.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in quoted.items()))

    def _ready(self) -> bool:
        """Ask postmaster.pid, not the port: it says "ready", and whose file it is."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _enable_tls(self) -> None:
        self.authority = Authority()
        self.ca_file.write_bytes(self.authority.certificate)
        self.show(self.authority.issue("localhost", "127.0.0.1"))
        self.settings |= {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}

    def show(self, certificate: Certificate) -> None:
        """Show clients another certificate from the next connection on."""
        key = self.data / "server.key"
        certificate.write(key, self.data / "server.crt")
        if who := identity():
            shutil.chown(key, who["user"], who["group"])
        if self.running:
            self.reload()

    # Addresses

    @property
    def ca_file(self) -> Path:
        """Return where the certificate for ``sslrootcert`` is, when the server speaks TLS."""
        return self.folder / "ca.crt"

    @property
    def superuser_url(self) -> str:
        """Return the URL of the superuser in the database ``postgres``."""
        return self.url(SUPERUSER, user=SUPERUSER)

    def url(
        self,
        database: str = APP,
        *,
        user: str = APP,
        password: str | None = None,
        host: str | None = None,
        **query: Any,
    ) -> str:
        """Return a URL for any driver; ``query`` becomes its parameters."""
        if password is None:
            password = PASSWORDS.get(user, "")
        user, password, database = (quote(part, safe="") for part in (user, password, database))
        url = f"postgresql://{user}:{password}@{host or self.host}:{self.port}/{database}"
        return f"{url}?{urlencode(query)}" if query else url

    # What the server knows

    def connect(self, database: str = SUPERUSER) -> psycopg.Connection[Any]:
        """Open an autocommit connection of the superuser, past whatever is being tested."""
        query = {"sslmode": "require" if self.authority else "disable", "application_name": "harness"}
        return psycopg.connect(self.url(database, user=SUPERUSER, **query), autocommit=True)

    def execute(self, statement: str, *values: Any, database: str = SUPERUSER) -> None:
        """Run one statement as the superuser."""
        with self.connect(database) as connection:
            connection.execute(statement.encode(), values or None)

    def scalar(self, statement: str, *values: Any, database: str = SUPERUSER) -> Any:
        """Return the first column of the first row, None without a row, as the superuser."""
        with self.connect(database) as connection:
            row = connection.execute(statement.encode(), values or None).fetchone()
            return row[0] if row else None

    def backends(self, database: str | None = None) -> list[Backend]:
        """Return the clients' connections, without the harness's own."""
        statement = """
            SELECT pid, usename AS user, datname AS database, application_name, state, query FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND application_name <> 'harness'
            AND (%(database)s::text IS NULL OR datname = %(database)s)
            ORDER BY backend_start
        """
        with self.connect() as connection, connection.cursor(row_factory=class_row(Backend)) as cursor:
            return cursor.execute(statement, {"database": database}).fetchall()

    def connection_count(self, database: str | None = None) -> int:
        """Return how many clients are connected."""
        return len(self.backends(database))

    def terminate_backends(self, database: str | None = None) -> int:
        """End the clients' connections as an administrator does (57P01), wait until they are gone, return how many."""
        victims = self.backends(database)
        with self.connect() as connection:
            for backend in victims:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", [backend.pid])
        return len(victims)

    def create_database(self, name: str | None = None, *, template: str = "template1", owner: str = APP) -> str:
        """Make a database, by default with a name of its own; return the name."""
        name = name or f"test_{secrets.token_hex(6)}"
        parts = {"name": sql.Identifier(name), "template": sql.Identifier(template), "owner": sql.Identifier(owner)}
        with self.connect() as connection:
            # file_copy: half the time of the default, which logs every page for a crash that a test server has not.
            statement = "CREATE DATABASE {name} TEMPLATE {template} OWNER {owner} STRATEGY file_copy"
            connection.execute(sql.SQL(statement).format(**parts))
        return name

    @contextmanager
    def lent_database(self, name: str | None = None, *, template: str = "template1") -> Iterator[str]:
        """Lend a new database for the block; whoever is still connected when it ends is a defect."""
        name = self.create_database(name, template=template)
        try:
            yield name
            until(lambda: not self.backends(name), message=lambda: f"left open: {self.backends(name)}")
        finally:
            self.drop_database(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and whoever is still connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@cache
def _template(binaries: Binaries) -> Path:
    """Initialise a cluster once for the test run; each Postgres is a copy."""
    folder = new_folder(f"template-{binaries.name}")
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORDS[SUPERUSER])
    password.chmod(0o644)  # inside a folder that only the servers' user enters
    arguments = [
        "--username",
        SUPERUSER,
        "--pwfile",
        password,
        "--auth",
        "scram-sha-256",
        "--encoding",
        "UTF8",
        "--locale",
        "C.UTF-8",
    ]
    run(binaries.folder / "initdb", "--pgdata", data, "--no-sync", *arguments)
    run(binaries.folder / "postgres", "--single", "-D", data, "-c", "fsync=off", SUPERUSER, input=BOOTSTRAP)
    return data
