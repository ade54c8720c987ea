"""A wrong setting is one clear line that says what to change, and never shows the password."""

from pathlib import Path

import pytest

from onetrip.errors import ConfigurationError
from onetrip.settings import Settings

URL = "postgresql://app:hunter22@db.example.com/shop"
OPEN = URL.replace(":hunter22", "")
NEON = "postgresql://app:hunter22@ep-x-1{}.eu-west-2.aws.neon.tech/{}"

WRONG = [
    ({"DATABASE_URL": ""}, "DATABASE_URL is empty; give it a value, or unset it"),
    (
        {"DATABASE_URL": "hunter22"},
        "DATABASE_URL is not a URL: it does not begin with postgresql://; write postgresql://user:password@host/database",
    ),
    (
        {"DATABASE_URL": "mysql://app:hunter22@h/d"},
        "DATABASE_URL begins with mysql://, which is not PostgreSQL; write postgresql://user:password@host/database",
    ),
    ({"APP_ENV": "production"}, "DATABASE_URL is not set, and production has no database of its own; set it"),
    ({"APP_ENV": "staging"}, "DATABASE_URL is not set, and preview has no database of its own; set it"),
    (
        {"DATABASE_URL": URL, "APP_ENV": "prodution"},
        "APP_ENV is 'prodution', which is no tier; did you mean production?",
    ),
    ({"DATABASE_URL": URL, "APP_ENV": ""}, "APP_ENV is empty; give it a value, or unset it"),
    ({"DATABASE_URL": URL, "DATABASE_DRIVER": "asyncpgg"}, "DATABASE_DRIVER is 'asyncpgg'; did you mean asyncpg?"),
    (
        {"DATABASE_URL": URL, "DATABASE_POOLER": "pgbouncer"},
        "DATABASE_POOLER is 'pgbouncer'; one of auto, none, transaction, session",
    ),
    (
        {"DATABASE_URL": URL, "DATABASE_POOL_MAX": "3", "DATABASE_POOL_MIN": "5"},
        "DATABASE_POOL_MAX is 3 but DATABASE_POOL_MIN is 5; raise DATABASE_POOL_MAX or lower DATABASE_POOL_MIN",
    ),
    ({"DATABASE_URL": URL, "DATABASE_POOL_MAX": "101"}, "DATABASE_POOL_MAX is 101; it must be at most 100"),
    ({"DATABASE_URL": URL, "DATABASE_POOL_MAX": "0"}, "DATABASE_POOL_MAX is 0; it must be at least 1"),
    ({"DATABASE_URL": URL, "DATABASE_POOL_MIN": "-1"}, "DATABASE_POOL_MIN is -1; it must be at least 0"),
    ({"DATABASE_URL": URL, "DATABASE_POOL_MAX": "ten"}, "DATABASE_POOL_MAX is 'ten', which is not a whole number"),
    ({"DATABASE_URL": URL, "DATABASE_POOL_IDLE": "-240"}, "DATABASE_POOL_IDLE is -240; it must be more than 0"),
    (
        {"DATABASE_URL": URL, "DATABASE_POOL_TIMEOUT": "30s"},
        "DATABASE_POOL_TIMEOUT is '30s', which is not a number of seconds",
    ),
    (
        {"DATABASE_URL": URL, "DATABASE_POOL_TIMEOUT": "inf"},
        "DATABASE_POOL_TIMEOUT is 'inf', which is not a finite number of seconds",
    ),
    ({"DATABASE_URL": URL, "DATABASE_ONE_TRIP": "maybe"}, "DATABASE_ONE_TRIP is 'maybe', which is not on or off"),
    (
        {"DATABASE_URL": URL, "DATABASE_POOL_MAX": URL},
        f"DATABASE_POOL_MAX is a text of {len(URL) - 5} characters, which is not a whole number",
    ),
    (
        {"DATABASE_URL": URL, "DATABASE_POOLMAX": "3"},
        "DATABASE_POOLMAX is set, which is nothing we read; did you mean DATABASE_POOL_MAX?",
    ),
    ({"DATABSE_URL": URL}, "DATABSE_URL is set, which is nothing we read; did you mean DATABASE_URL?"),
    ({"DATABASE_URI": URL}, "DATABASE_URI is set, which is nothing we read; did you mean DATABASE_URL?"),
    ({"database_url": URL}, "database_url is set, which is nothing we read; did you mean DATABASE_URL?"),
    (
        {"DATABASE_URL": URL, "MIGRATIONS_DATABASE_URL": URL},
        "MIGRATIONS_DATABASE_URL is set, which is nothing we read; did you mean MIGRATION_DATABASE_URL?",
    ),
    (
        {"DATABASE_URL": NEON.format("-pooler", "shop"), "MIGRATION_DATABASE_URL": NEON.format("-pooler", "shop")},
        (
            "MIGRATION_DATABASE_URL leads through a transaction pooler, where migrations lose their locks and "
            "settings; give the direct URL (ep-x-1.eu-west-2.aws.neon.tech:5432)"
        ),
    ),
    (
        {"DATABASE_URL": NEON.format("-pooler", "shop"), "DIRECT_URL": NEON.format("", "stock")},
        "DATABASE_URL names the database 'shop' but DIRECT_URL names 'stock'; let both name the same",
    ),
    (
        {"DATABASE_URL": NEON.format("-pooler", "shop"), "MIGRATION_DATABASE_URL": NEON.format("0", "shop")},
        (
            "DATABASE_URL leads to the Neon endpoint ep-x-1 but MIGRATION_DATABASE_URL to ep-x-10; "
            "let both lead to the same branch"
        ),
    ),
    (
        {"DATABASE_URL": URL, "MIGRATION_DATABASE_URL": URL, "DATABASE_POOLER": "transaction"},
        (
            "MIGRATION_DATABASE_URL leads through a transaction pooler, where migrations lose their locks and "
            "settings; give the direct URL"
        ),
    ),
    ({"MIGRATION_DATABASE_URL": URL}, "MIGRATION_DATABASE_URL is set but DATABASE_URL is not; set both or neither"),
    (
        {"DATABASE_URL": URL, "DATABASE_URL_FILE": "x"},
        "both DATABASE_URL and DATABASE_URL_FILE are set; keep one of them",
    ),
    (
        {"DATABASE_URL_FILE": "/nowhere"},
        "DATABASE_URL_FILE names /nowhere, which cannot be read: No such file or directory",
    ),
    ({"DATABASE_URL_FILE": "/dev/null"}, "DATABASE_URL_FILE names /dev/null, which is empty; write the URL into it"),
    (
        {"DATABASE_URL": OPEN, "DATABASE_PASSWORD_FILE": "/nowhere"},
        "DATABASE_PASSWORD_FILE names /nowhere, which cannot be read: No such file or directory",
    ),
    (
        {"DATABASE_URL": OPEN, "DATABASE_PASSWORD_FILE": "/dev/null"},
        "DATABASE_PASSWORD_FILE names /dev/null, which is empty; write the password into it",
    ),
    (
        {"DATABASE_URL": URL, "DATABASE_PASSWORD_FILE": __file__},
        "DATABASE_URL holds a password and DATABASE_PASSWORD_FILE names another; keep one of them",
    ),
    (
        {"DATABASE_PASSWORD_FILE": __file__},
        "DATABASE_PASSWORD_FILE is set but DATABASE_URL is not; set both or neither",
    ),
    (
        {"DATABASE_URL": URL + "?pgbouncer=true&options=-c%20search_path%3Dx"},
        (
            "the database URL sets search_path in options, which a transaction pooler refuses "
            "(unsupported startup parameter in options: search_path)"
        ),
    ),
]


@pytest.mark.parametrize(("environment", "line"), WRONG)
def test_each_mistake_is_one_line(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], line: str) -> None:
    """The line names the variable as the user wrote it, says why it is wrong, and what to write."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    error = caught.value
    assert error.what == line
    assert "hunter22" not in f"{error}{error!r}"
    assert (error.__cause__, error.__context__) == (None, None)


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five mistakes are five lines, not five rounds."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter22@h:port/d")
    monkeypatch.setenv("APP_ENV", "live")
    monkeypatch.setenv("DATABASE_POOL_MAX", "3")
    monkeypatch.setenv("DATABASE_POOL_MIN", "5")
    with pytest.raises(ConfigurationError) as caught:
        Settings(driver="pg8000", pool_size=3)  # type: ignore[call-arg]
    lines = caught.value.what.splitlines()
    starts = (
        "DATABASE_URL has a port",
        "APP_ENV is 'live'",
        "DATABASE_POOL_MAX is 3 but",
        "driver is 'pg8000'",
        "there is no setting",
    )
    assert len(lines) == len(starts)
    assert all(any(line.startswith(start) for line in lines) for start in starts)


def test_arguments_are_called_by_their_own_names() -> None:
    """Who passed pool_max is told about pool_max."""
    with pytest.raises(ConfigurationError, match="pool_max is 3 but pool_min is 5; raise pool_max or lower pool_min"):
        Settings(database_url=URL, pool_max=3, pool_min=5)


def test_an_unknown_parameter_in_the_url_is_found_before_connecting() -> None:
    """What the chosen driver would trip over is refused when settings are read."""
    with pytest.raises(ConfigurationError, match="parameter 'foo'"):
        Settings(database_url=URL + "?foo=1")
    with pytest.raises(ConfigurationError, match="require_auth, which asyncpg cannot honour"):
        Settings(database_url=URL + "?require_auth=none", driver="asyncpg")


def test_names_that_platforms_set_are_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a near miss is an error: many tools set DATABASE_* names of their own."""
    names = "HOST PORT NAME USER PASSWORD PRISMA_URL PRIVATE_URL PUBLIC_URL URL_2 URL_NON_POOLING POOL POOL_SIZE PGHOST"
    for name in names.split():
        monkeypatch.setenv(f"DATABASE_{name}", "x")
    assert Settings(database_url=URL).tier == "development"


def test_a_misspelt_name_beside_the_right_one_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_URI beside DATABASE_URL is another tool's."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("DATABASE_URI", "x")
    assert Settings().url is not None


def test_a_misspelt_name_in_dotenv_is_found() -> None:
    """A typing error in .env is as silent as one in the environment."""
    Path(".env").write_text(f"DATABASE_URL={URL}\nDATABASE_POOL_MXA=3\n")
    with pytest.raises(ConfigurationError, match="DATABASE_POOL_MXA is set"):
        Settings()


def test_a_password_that_is_no_function_is_refused_unseen() -> None:
    """A string in place of the function is a secret already."""
    with pytest.raises(ConfigurationError, match="password is not a function") as caught:
        Settings(database_url=URL, password="hunter22")  # type: ignore[arg-type]
    assert "hunter22" not in str(caught.value)


def test_two_sources_of_a_password_are_refused() -> None:
    """Which of a function and a file is right, nobody can tell."""
    with pytest.raises(ConfigurationError, match="both password and password_file are given"):
        Settings(database_url=OPEN, password=lambda: "hunter22", password_file=__file__)


def test_the_file_of_another_url_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL in the code that has a password does not get the one that the environment holds for another."""
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", "/nowhere")
    settings = Settings(database_url=URL)
    assert settings.password_file is None
    row = next(row for row in settings.explain() if row.name == "password_file")
    assert row.adjusted == "DATABASE_PASSWORD_FILE ignored: it belongs to another URL than the one given"
