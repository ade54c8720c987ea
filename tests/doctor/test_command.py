"""The command: a table for people, an object for machines, an exit code for both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from onetrip._engine.probe import forget
from onetrip.cli import app
from tests.harness.postgres import Postgres

KEYS = {"target", "verdict", "seconds", "steps", "findings", "facts"}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments: str) -> tuple[int, str]:
    """Run the command in this process."""
    done = CliRunner().invoke(app, ["doctor", *arguments])
    return done.exit_code, done.output


def test_fine_is_0_and_the_object_keeps_its_shape(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """A machine reads the same keys whatever was found."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    code, output = run("--json")
    found = json.loads(output)
    assert code == 0
    assert found.keys() == KEYS
    assert found["verdict"] == "fine"
    assert {"code", "level", "what", "why", "fix"} == found["findings"][0].keys()
    assert {"name", "outcome", "said", "seconds"} == found["steps"][0].keys()
    assert [step["name"] for step in found["steps"]] == [
        "DNS",
        "TCP",
        "TLS",
        "authentication",
        "waking",
        "first query",
    ]


def test_wrong_is_1_also_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable database is a finding, no crash; what came before keeps its shape."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter22@no-such-host.invalid/app")
    code, output = run("--json")
    assert (code, json.loads(output)["verdict"]) == (1, "wrong")
    assert json.loads(output).keys() == KEYS
    code, output = run()
    assert code == 1
    assert "host-unknown" in output
    assert "hunter22" not in output


def test_wrong_settings_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor examines what other commands refuse to start with."""
    monkeypatch.setenv("DATABASE_URL", "postgres:/app:hunter22@h/app")
    code, output = run()
    assert code == 1
    assert "configuration" in output
    assert "hunter22" not in output


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "many"], ["--nonsense"]])
def test_misuse_is_2(arguments: list[str]) -> None:
    """What was typed is wrong, not the database."""
    assert run(*arguments)[0] == 2


def test_the_table_fits_80_columns_without_colours(database_url: str) -> None:
    """Nothing is cut off, and no line is longer than a terminal; the words alone say what is wrong."""
    code, output = run("--url", database_url, "--workers", "50")
    assert code == 1
    assert max(len(line) for line in output.splitlines()) <= 80
    assert "\x1b" not in output
    assert "WRONG" in output
    assert "DATABASE_POOL_MAX=" in output
    assert "50 workers" in output


def test_server_text_cannot_move_the_cursor(postgres: Postgres, database: str) -> None:
    """Names that others chose are escaped, in the table as in the object, and are no markup."""
    evil = "[red]x\x1b[2J\u202e"
    with psycopg.connect(postgres.url(database), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(evil)))
        statement = sql.SQL("CREATE TABLE {} (version_num text)").format(sql.Identifier(evil, "alembic_version"))
        connection.execute(statement)
    code, output = run("--url", postgres.url(database))
    assert code == 1
    assert "[red]x\\x1b[2J\\u202e" in output.replace("\n", "").replace(" ", "")
    assert "\x1b" not in output
    assert "\u202e" not in output
    _, output = run("--url", postgres.url(database), "--json")
    assert any(evil in finding["what"] for finding in json.loads(output)["findings"])
    assert not {"\x1b", "\u202e"} & set(output)


@pytest.mark.slow  # makes a cluster
def test_the_embedded_server_is_examined_where_there_is_no_url(tmp_path: Path) -> None:
    """A project without any setting has a database, and doctor finds it well."""
    variables = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    command = [Path(sys.executable).with_name("onetrip"), "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["facts"]["endpoint"]["seen"] == "direct"


def test_explain_for_people_and_machines() -> None:
    """A known text ends with 0 and says what to do next; --json is one object."""
    text = 'prepared statement "__asyncpg_stmt_1__" already exists'
    code, output = run("--explain", text)
    assert code == 0
    assert "DATABASE_POOLER=transaction" in output
    code, output = run("--explain", text, "--json")
    assert (code, json.loads(output)["code"]) == (0, "prepared-statement-lost")


def test_explain_reads_standard_input() -> None:
    """A whole traceback is piped in; its secrets are not printed again."""
    text = "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed: FATAL:  password\n"
    text += 'password authentication failed for user "app" (postgresql://app:hunter22@h/app)'
    done = CliRunner().invoke(app, ["doctor", "--explain", "-"], input=text)
    assert done.exit_code == 0
    assert "authentication-failed" in done.output
    assert "hunter22" not in done.output


def test_explain_says_when_it_does_not_know() -> None:
    """No guess: exit code 1."""
    code, output = run("--explain", "the flux capacitor is empty")
    assert code == 1
    assert "not known" in output
