"""Whatever a password is made of, nothing that we render, log, explain or print as an error contains it."""

import logging
import traceback
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onetrip._core.profile import DRIVERS, connect_profile
from onetrip._core.url import DatabaseUrl, parse_url
from onetrip.errors import ConfigurationError
from onetrip.settings import Settings

# A beginning that no other part of a URL has, so that finding it is finding the password.
passwords = st.text(
    st.one_of(st.sampled_from("%@:/?#&=+ '\"\\[]{}$éß漢😀\t\n"), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=4,
    max_size=30,
).map("qZ7".__add__)
PLACES = st.sampled_from(
    [
        "postgresql://app@ep-x-1-pooler.eu-west-2.aws.neon.tech/shop?sslmode=require&channel_binding=require",
        "postgresql://app@a.example.com:5432,[2001:db8::1]:5433/shop?target_session_attrs=any",
        "postgresql+asyncpg://app@/shop?host=/run/postgresql",
        "postgresql://app@localhost",
        "postgres://app@db.ref.supabase.co/postgres",
    ]
)


def spellings(password: str) -> set[str]:
    """Return the ways in which the password might be written."""
    return {password, quote(password, safe=""), quote(password), repr(password)[1:-1], ascii(password)[1:-1]}


def leaks(password: str, *shown: object) -> list[str]:
    """Return what shows the password."""
    texts = (text for one in shown for text in (str(one), repr(one)))
    return [text for text in texts if any(spelling in text for spelling in spellings(password))]


def logged(*messages: object) -> list[str]:
    """Return what a library's logger would print, given the raw text."""
    records = [
        logging.getLogger("other").makeRecord("other", logging.INFO, __file__, 1, "got %s", (message,), None)
        for message in messages
    ]
    return [logging.Formatter("%(message)s").format(record) for record in records]


several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(PLACES, passwords)
@example("postgresql://app@localhost", "qZ7%25@:/?#&'\" ß")
@several
def test_settings_show_no_password(place: str, password: str) -> None:
    """Neither the settings, their explanation, the URLs, the twins nor any driver's profile shows it."""
    url = replace(parse_url(place), password=password)
    made = Settings(database_url=url.render(f"postgresql+{url.driver}" if url.driver else "postgresql"))
    assert made.url is not None
    assert made.url.password == password
    profiles = [connect_profile(made.url, driver, ca_bundle=lambda: "/ca.pem") for driver in DRIVERS]
    dumps = (made.model_dump(), made.model_dump_json(), vars(made), made.__pydantic_private__)
    assert leaks(password, made, made.explain(), made.url, made.url.redacted(), made.endpoint, profiles, dumps) == []
    assert leaks(password, *(_migration(made))) == []


def _migration(made: Settings) -> list[DatabaseUrl]:
    try:
        return [made.migration_url]
    except ConfigurationError:
        return []


@given(PLACES, passwords)
@several
def test_logs_show_no_password(place: str, password: str) -> None:
    """A library that logs the URL, the password alone, or driver arguments logs ``***``."""
    url = replace(parse_url(place), password=password)
    Settings(database_url=url.render())
    arguments = connect_profile(url, "psycopg", ca_bundle=lambda: "/ca.pem").arguments
    assert leaks(password, *logged(url.render(), password, arguments, [url.render()], f"password={password}")) == []


@pytest.mark.parametrize("change", ["?nonsense=1", "?sslmode=wrong", ":port/d", "?a=1&a=2", "%"])
@given(passwords)
@several
def test_errors_show_no_password(change: str, password: str) -> None:
    """A URL that is refused is refused without repeating it, in the message, its causes and the traceback's text."""
    text = f"postgresql://app:{quote(password, safe='')}@db.example.com{change}"
    with pytest.raises(ConfigurationError) as caught:
        Settings(database_url=text)
    shown = "".join(traceback.format_exception_only(caught.value))
    assert leaks(password, caught.value, shown, caught.value.__context__, caught.value.__cause__) == []


@given(passwords)
@several
def test_a_password_from_elsewhere_is_a_secret_too(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    """What a password file holds is masked from the moment it was read."""
    file = tmp_path_factory.mktemp("secret") / "password"
    file.write_text(password, newline="")
    made = Settings(database_url="postgresql://app@localhost", password_file=file)
    kept = password.rstrip("\r\n")
    if len(kept) >= 6:
        assert leaks(kept, made, made.explain(), *logged(kept, {"password": kept})) == []
