"""``onetrip url`` prints the URL that a tool needs, and no password unless it is told to."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from onetrip.cli import main

NEON = "postgresql://app:hunter22@ep-x-1{}.eu-west-2.aws.neon.tech/shop?sslmode=require"
SUPABASE = "postgresql://postgres.ref:hunter22@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
OWN = "postgresql://app:hunter22@pgbouncer.example.com:6432/shop"


@dataclass(frozen=True)
class Done:
    """What the command left behind."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the whole program, as its script does."""

    def run(*arguments: str, **environment: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["onetrip", "url", *arguments])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as caught:
            main()
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("arguments", "environment", "printed"),
    [
        ([], {"DATABASE_URL": NEON.format("-pooler")}, NEON.format("-pooler")),
        (["--direct"], {"DATABASE_URL": NEON.format("-pooler")}, NEON.format("")),
        (["--direct"], {"DATABASE_URL": NEON.format("")}, NEON.format("")),
        (["--pooled"], {"DATABASE_URL": NEON.format("")}, NEON.format("-pooler")),
        (["--pooled"], {"DATABASE_URL": OWN}, OWN),
        (["--direct"], {"DATABASE_URL": SUPABASE}, "postgresql://postgres:hunter22@db.ref.supabase.co:5432/postgres"),
        (
            ["--direct"],
            {"DATABASE_URL": OWN, "DIRECT_URL": "postgresql://owner:hunter22@pg.example.com/shop"},
            "postgresql://owner:hunter22@pg.example.com/shop",
        ),
        (
            ["--direct"],
            {"DATABASE_URL": "postgresql://app:hunter22@pg.example.com/shop", "DATABASE_POOLER": "none"},
            "postgresql://app:hunter22@pg.example.com/shop",
        ),
    ],
)
def test_the_url_that_was_asked_for_is_printed(
    run: Run, arguments: list[str], environment: dict[str, str], printed: str
) -> None:
    """Redacted with a word on stderr; with --reveal in clear, for a shell to hand on."""
    done = run(*arguments, **environment)
    assert (done.returncode, done.stdout) == (0, printed.replace("hunter22", "***") + "\n")
    assert done.stderr == "onetrip: the password is hidden; --reveal prints it\n"
    done = run(*arguments, "--reveal", **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed + "\n", "")


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["--direct"], {"DATABASE_URL": OWN}, 1, "does not tell its direct address → set MIGRATION_DATABASE_URL"),
        (["--pooled"], {"DATABASE_URL": "postgresql://app:hunter22@h/d"}, 1, "does not tell its pooled address"),
        ([], {}, 1, "onetrip local url"),
        (["--direct", "--pooled"], {"DATABASE_URL": OWN}, 2, "exclude each other"),
        ([], {"DATABASE_URL": "mysql://app:hunter22@h/d"}, 2, "DATABASE_URL begins with mysql://"),
    ],
)
def test_what_is_not_known_is_said(
    run: Run, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    """Exit code 1 where there is no answer, 2 for a misuse; stdout stays empty."""
    done = run(*arguments, "--reveal", **environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "hunter22" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_password_of_a_file_is_revealed_too(run: Run, tmp_path: Path) -> None:
    """A URL without the password would be of no use to psql."""
    file = tmp_path / "password"
    file.write_text("hun ter\n")
    environment = {"DATABASE_URL": "postgresql://app@localhost/shop", "DATABASE_PASSWORD_FILE": str(file)}
    assert run("--reveal", **environment).stdout == "postgresql://app:hun%20ter@localhost/shop\n"
    assert run(**environment).stdout == "postgresql://app@localhost/shop\n"
