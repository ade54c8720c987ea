"""explain() and its page show every setting, and no secret."""

import copy
import json
import pickle

import pytest

from onetrip.settings import Settings

PASSWORD = "p%40ss%2Fw%25rd"
RAW = "p@ss/w%rd"
URL = f"postgresql://app:{PASSWORD}@ep-x-1-pooler.eu-west-2.aws.neon.tech/shop?sslmode=require&channel_binding=require"


def test_every_setting_is_explained_with_its_unit() -> None:
    """One row a field, in order, with a unit where there is one."""
    rows = Settings(database_url=URL, pool_max=1, one_trip=False).explain()
    assert [row.name for row in rows] == list(Settings.model_fields)
    values = {row.name: row.value for row in rows}
    assert (values["pool_max"], values["pool_min"], values["pool_idle"]) == ("1 connection", "1 connection", "240 s")
    assert (values["one_trip"], values["pooler"], values["password"]) == (
        "off",
        "auto: transaction",
        "the one in database_url",
    )


def test_the_source_of_a_default_is_its_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tier decides says so; what nobody changes is a plain default."""
    sources = {row.name: row.source for row in Settings(database_url=URL, tier="prod").explain()}
    assert sources["pool_max"] == "default for production"
    assert sources["pool_idle"] == "default"
    assert sources["database_url"] == sources["tier"] == "argument"
    assert sources["migration_database_url"] == "derived from database_url"


def test_what_the_driver_cannot_do_is_explained() -> None:
    """A parameter that became stronger is said beside the URL."""
    rows = Settings(database_url=URL, driver="asyncpg").explain()
    assert rows[0].adjusted == "channel_binding=require became sslmode=verify-full: asyncpg has no channel binding"


def test_no_dump_of_settings_shows_the_password() -> None:
    """Neither repr, str, dump, JSON, vars nor explain() holds it."""
    settings = Settings(database_url=URL, migration_database_url=URL.replace("-pooler", ""), password=lambda: RAW)
    dumps = (
        repr(settings),
        str(settings),
        settings.model_dump(),
        settings.model_dump_json(),
        vars(settings),
        settings.__pydantic_private__,
        settings.explain(),
        settings.url,
        settings.migration_url,
        json.dumps(settings.model_dump(mode="json")),
    )
    for dump in map(repr, dumps):
        assert PASSWORD not in dump
        assert RAW not in dump


def test_a_copy_is_whole() -> None:
    """A copied or pickled Settings knows its URL and its sources."""
    settings = Settings(database_url=URL)
    for other in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings)), settings.model_copy()):
        assert other.url == settings.url
        assert other.explain() == settings.explain()
