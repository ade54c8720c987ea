"""``onetrip settings`` prints what explain() says, for people and for machines."""

import json

import pytest
import typer
from typer.testing import CliRunner

from onetrip.cli.settings import settings
from onetrip.errors import ConfigurationError
from onetrip.settings import Settings

URL = "postgresql://app:hunter22@ep-x-1-pooler.eu-west-2.aws.neon.tech/shop?sslmode=require"
app = typer.Typer()
app.command()(settings)


def test_json_is_what_explain_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine reads one object a setting."""
    monkeypatch.setenv("DATABASE_URL", URL)
    done = CliRunner().invoke(app, ["--json"])
    assert done.exit_code == 0
    rows = Settings().explain()
    assert json.loads(done.stdout) == [
        {"name": row.name, "value": row.value, "source": row.source, "adjusted": row.adjusted} for row in rows
    ]
    assert "hunter22" not in done.output


def test_the_table_shows_every_setting_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees each setting with its source; a long URL is folded, not cut."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("DATABASE_POOL_MAX", "3")
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(Settings.model_fields)
    assert "environment DATABASE_POOL_MAX" in done.stdout
    assert lines[-1] == "pool_min: 5 became 3: DATABASE_POOL_MAX allows no more"
    assert URL.replace("hunter22", "***") in done.stdout
    assert "hunter22" not in done.output


def test_a_mistake_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command leaves the one line and the exit code to the program around it."""
    monkeypatch.setenv("DATABASE_URL", "")
    assert isinstance(CliRunner().invoke(app).exception, ConfigurationError)
