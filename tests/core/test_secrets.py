"""A secret is masked in whatever text it turns up, however it was escaped on the way."""

import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from onetrip._core import secrets
from onetrip._core.secrets import MASK, redact, remember
from onetrip._core.url import DatabaseUrl, Host

passwords = st.text(
    st.one_of(st.sampled_from("%@:/?#&=+ '\"\\~éß漢😀\tabc123"), st.characters(exclude_categories=["Cs"])), min_size=6
).filter(lambda password: password.lower() not in secrets._WORDS)


@pytest.fixture(autouse=True)
def _empty_registry() -> Iterator[None]:
    """Each test remembers its own secrets."""
    secrets._secrets.clear()
    yield
    secrets._secrets.clear()


def spellings(password: str) -> list[str]:
    """Write a password as URLs, libraries and dumps write it."""
    url = DatabaseUrl("u", password, (Host("h"),), "d").render()
    written = [
        password,
        quote(password, safe=""),
        quote(password),
        quote_plus(password),
        quote(password, safe=" +"),
        "".join(f"%{octet:02x}" for octet in password.encode()),
        repr(password)[1:-1],
        ascii(password)[1:-1],
        repr(password.encode())[2:-1],
        json.dumps(password)[1:-1],
        json.dumps(password, ensure_ascii=False)[1:-1],
        urlencode({"p": password})[2:],
        URL.create("postgresql", "u", password, "h").render_as_string(hide_password=False),
        url,
        repr(url),
        json.dumps({"DATABASE_URL": url}),
    ]
    return written + [text.replace("%", "%%") for text in written]


@given(passwords)
def test_a_remembered_secret_is_masked_in_every_spelling(password: str) -> None:
    """Raw, percent-encoded, doubled for ConfigParser, escaped by repr, JSON or bytes: nothing of it is left."""
    secrets._secrets.clear()
    remember(password)
    for spelling in spellings(password):
        bare = "://" not in spelling
        assert redact(f"<{spelling}>") == f"<{MASK}>" if bare else password not in redact(spelling), spelling


@given(st.text(st.sampled_from("%:?#'\"\\é漢abc123"), min_size=1))
def test_a_password_in_a_url_is_masked_though_nobody_remembered_it(password: str) -> None:
    """Whatever stands between user and host of a PostgreSQL URL is masked, well escaped or not."""
    for spelling in (password, quote(password, safe=""), repr(password)[1:-1]):
        masked = redact(f"cannot use postgresql+asyncpg://user:{spelling}@host:5432/db, sorry")
        assert masked == f"cannot use postgresql+asyncpg://user:{MASK}@host:5432/db, sorry"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:hunter22@cache:6379/0", "redis://:***@cache:6379/0"),
        ("https://token:x@example.com/a", "https://token:***@example.com/a"),
        ("postgres://u:a/b?c@d@h/db", "postgres://u:***@h/db"),
        ("a postgres://u:p@h/a and postgres://u:q@h/b", "a postgres://u:***@h/a and postgres://u:***@h/b"),
        ("host=h password=abc user=u", "host=h password=*** user=u"),
        (r"password='a b\'c' host=h", "password='***' host=h"),
        ("{'PGPASSWORD': 'a', 'x': 1}", "{'PGPASSWORD': '***', 'x': 1}"),
        ('{"password": "a\\"b", "x": 1}', '{"password": "***", "x": 1}'),
        ("?user=u&password=abc&x=1", "?user=u&password=***&x=1"),
        ("connect(password='abc", "connect(password='***"),
        ("POSTGRES_PASSWORD=abc", "POSTGRES_PASSWORD=***"),
    ],
)
def test_a_value_is_masked_where_a_password_stands(text: str, masked: str) -> None:
    """The place alone gives a password away, even a short one."""
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "plain text with 100% of nothing",
        "GET http://localhost:8000/docs 200",
        "https://example.com:8443/@scope/package",
        "postgresql://h/db?application_name=x",
        "postgresql://u@h:5432/db",
        'password authentication failed for user "neondb_owner"',
        "FATAL: no password supplied",
        "time 12:30, mail me@example.com",
    ],
)
def test_text_without_a_secret_is_left_alone(text: str) -> None:
    """Masking does not eat what only looks similar."""
    remember("hunter22")
    assert redact(text) == text


@pytest.mark.parametrize("word", ["postgres", "postgresql", "password", "short", ""])
def test_words_are_masked_only_where_a_password_stands(word: str) -> None:
    """A password that is an everyday word, or short, does not turn every log line into stars."""
    remember(word)
    assert redact(f"postgresql short {word}.") == f"postgresql short {word}."
    assert redact("postgresql://u:short@h/d") == f"postgresql://u:{MASK}@h/d"


@given(st.text(st.one_of(st.sampled_from("postgres://u:p@h password='\"=%\\ *"), st.characters())))
def test_masking_twice_is_masking_once(text: str) -> None:
    """Text that passes through two handlers stays readable."""
    assert redact(redact(text)) == redact(text)


def test_credentials_that_rotate_do_not_pile_up() -> None:
    """The newest are masked, those long gone forgotten: a log record costs what it cost on the first day."""
    for number in range(secrets.KEPT + 1):
        secrets.remember(f"rotated-{number:04}")
    assert secrets.redact(f"rotated-0000 rotated-0001 rotated-{secrets.KEPT:04}") == "rotated-0000 *** ***"
