"""A database URL is read as its provider wrote it, and never shows its password."""

import copy
import pickle
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onetrip._core.url import DatabaseUrl, Host, parse_url
from onetrip.errors import ConfigurationError

TRICKY = "%@:/?#&=+ '\"\\[]~éß漢😀\t"
text = st.text(st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
names = text.filter(bool)
labels = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9-]{0,10}){0,3}", fullmatch=True)
addresses = st.one_of(st.ip_addresses().map(str), st.just("fe80::1%eth0"))
sockets = names.filter(lambda name: "," not in name).map("/".__add__)
hosts = st.builds(Host, st.one_of(labels, addresses, sockets), st.one_of(st.none(), st.integers(1, 65535)))
places = st.lists(hosts, max_size=3).map(tuple)
parameter_names = st.from_regex(r"[a-z][a-z_]{0,15}", fullmatch=True).filter(
    lambda name: name not in {"host", "port", "user", "password", "dbname"}
)
urls = st.builds(
    DatabaseUrl,
    user=st.one_of(st.none(), names),
    password=st.one_of(st.none(), text),
    hosts=places,
    database=st.one_of(st.none(), names),
    params=st.dictionaries(parameter_names, text, max_size=3).map(MappingProxyType),
)


@given(urls)
def test_what_is_rendered_is_read_back(url: DatabaseUrl) -> None:
    """Parsing what was rendered gives the same URL, whatever its parts hold."""
    assert parse_url(url.render()) == url


@given(urls, st.sampled_from(["psycopg", "psycopg2", "asyncpg"]))
def test_the_scheme_carries_the_driver(url: DatabaseUrl, driver: str) -> None:
    """A driver in the scheme is kept as a hint, and changes nothing else."""
    assert parse_url(url.render(f"postgresql+{driver}")) == replace(url, driver=driver)


@given(urls, st.text(st.sampled_from("%@:/?#&= é漢XYZ"), min_size=4).map("qZ7".__add__))
def test_no_form_of_printing_shows_the_password(url: DatabaseUrl, password: str) -> None:
    """Neither repr, str, format nor redacted() holds the password, raw or percent-encoded."""
    url = replace(url, password=password)
    for shown in (repr(url), str(url), f"{url}", f"{url!r:>10}", url.redacted()):
        assert password not in shown.replace(url.user or "\0", "").replace(url.database or "\0", "")
        assert "qZ7" not in shown or any("qZ7" in part for part in _harmless(url))


def _harmless(url: DatabaseUrl) -> list[str]:
    return [url.user or "", url.database or "", *url.params.values(), *(host.name for host in url.hosts)]


READ = [
    ("postgres://u:p@h/d", DatabaseUrl("u", "p", (Host("h"),), "d")),
    ("postgresql://u:p@h:5433/d", DatabaseUrl("u", "p", (Host("h", 5433),), "d")),
    ("POSTGRESQL://h/d", DatabaseUrl(hosts=(Host("h"),), database="d")),
    ("postgresql+asyncpg://h/d", DatabaseUrl(hosts=(Host("h"),), database="d", driver="asyncpg")),
    ("postgresql+psycopg_async://h/d", DatabaseUrl(hosts=(Host("h"),), database="d", driver="psycopg")),
    ("postgresql://", DatabaseUrl()),
    ("postgresql://:", DatabaseUrl()),
    ("postgresql:///d", DatabaseUrl(database="d")),
    ("postgresql://u@/d", DatabaseUrl("u", database="d")),
    ("postgresql://u:@h", DatabaseUrl("u", "", (Host("h"),))),
    ("postgresql://h/", DatabaseUrl(hosts=(Host("h"),))),
    ("postgresql://u:a%40b%3Ac%2Fd%25@h/d", DatabaseUrl("u", "a@b:c/d%", (Host("h"),), "d")),
    ("postgresql://u:a@b@h/d", DatabaseUrl("u", "a@b", (Host("h"),), "d")),
    ("postgresql://u:a:b@h/d", DatabaseUrl("u", "a:b", (Host("h"),), "d")),
    ("postgresql://u:a+b@h/d", DatabaseUrl("u", "a+b", (Host("h"),), "d")),
    ("postgresql://u:p#q@h/d", DatabaseUrl("u", "p#q", (Host("h"),), "d")),
    ("postgresql://[2001:db8::1]:5433/d", DatabaseUrl(hosts=(Host("2001:db8::1", 5433),), database="d")),
    ("postgresql://[::1]/d", DatabaseUrl(hosts=(Host("::1"),), database="d")),
    ("postgresql://a:1,b,c:3/d", DatabaseUrl(hosts=(Host("a", 1), Host("b"), Host("c", 3)), database="d")),
    ("postgresql:///d?host=/run/pg", DatabaseUrl(hosts=(Host("/run/pg"),), database="d")),
    ("postgresql://u@%2Frun%2Fpg:5433/d", DatabaseUrl("u", None, (Host("/run/pg", 5433),), "d")),
    ("postgresql:///d?host=/run/pg&port=5433", DatabaseUrl(hosts=(Host("/run/pg", 5433),), database="d")),
    ("postgresql:///?host=a,b&port=1,2", DatabaseUrl(hosts=(Host("a", 1), Host("b", 2)))),
    ("postgresql:///?user=u&password=p%26q&dbname=d", DatabaseUrl("u", "p&q", database="d")),
    ("  postgresql://h/d\n", DatabaseUrl(hosts=(Host("h"),), database="d")),
    (
        "postgresql://h/d?options=-c%20search_path%3Dx&sslmode=require",
        DatabaseUrl(hosts=(Host("h"),), database="d", params={"options": "-c search_path=x", "sslmode": "require"}),
    ),
]


@pytest.mark.parametrize(("written", "read"), READ)
def test_a_url_is_read_as_libpq_reads_it(written: str, read: DatabaseUrl) -> None:
    """Every form that libpq's grammar allows is understood, and some that people write."""
    assert parse_url(written) == read


WRONG = [
    ("", "is empty"),
    ("   ", "is empty"),
    ("hunter22", "does not begin with postgresql://"),
    ("u:hunter22@h/d", "does not begin with postgresql://"),
    ("mysql://u:hunter22@h/d", "begins with mysql://, which is not PostgreSQL"),
    ("https://u:hunter22@h/d", "begins with https://"),
    ("postgresql+pg8000://u:hunter22@h/d", "asks for the driver 'pg8000'"),
    ("'postgresql://u:hunter22@h/d'", "quotes"),
    ("psql 'postgresql://u:hunter22@h/d'", "psql"),
    ("postgresql://u:hunter22/x@h/d", "an @ after its first /"),
    ("postgresql://u:hunter22?x=1@h/d", "an @ after its first /"),
    ("postgresql://u:12/hunter22@h/d", "an @ after its first /"),
    ("postgresql://h:hunter22/d", "port that is not a number"),
    ("postgresql://h:0/d", "port"),
    ("postgresql://h:65536/d", "port"),
    ("postgresql://h:1²/d", "port"),
    ("postgresql://u:hunter22%@h/d", "a % that starts no escape"),
    ("postgresql://u:hunter22%zz@h/d", "a % that starts no escape"),
    ("postgresql://u:hunter22%ff@h/d", "not UTF-8"),
    ("postgresql://u:hunter22%00@h/d", "%00"),
    ("postgresql://u:hunter22\udcff@h/d", "not UTF-8"),
    ("postgresql://u:hunter22 x@h/d", "white space"),
    ("postgresql://u:hunter22@h/\nd", "white space"),
    ("postgresql://u:hunter22@[::1/d", "closing bracket"),
    ("postgresql://u:hunter22@::1/d", "port"),
    ("postgresql://u:hunter22@h/d?sslmode", "not name=value"),
    ("postgresql://u:hunter22@h/d?hunter22%=1".replace("%", "%25"), "not name=value"),
    ("postgresql://u:hunter22@h/d?sslmode=require&sslmode=disable", "sslmode twice"),
    ("postgresql://u:hunter22@/d?host=a,b,c&port=1,2", "3 hosts but 2 ports"),
]


@pytest.mark.parametrize(("written", "said"), WRONG)
def test_a_wrong_url_is_explained_without_repeating_it(written: str, said: str) -> None:
    """The error names the setting and what is wrong, says what to write, and holds no part of the password."""
    with pytest.raises(ConfigurationError) as caught:
        parse_url(written, name="MIGRATION_DATABASE_URL")
    error = caught.value
    assert error.what.startswith("MIGRATION_DATABASE_URL ")
    assert said in error.what
    assert error.hint
    assert "hunter22" not in f"{error}{error!r}{error.__cause__!r}{error.__context__!r}"


@given(text)
def test_no_text_makes_the_parser_fail_otherwise(written: str) -> None:
    """Whatever stands after the scheme is either read or refused with our error."""
    try:
        url = parse_url("postgresql://" + written)
    except ConfigurationError:
        return
    assert parse_url(url.render()) == url


def test_a_url_is_frozen_and_hashable() -> None:
    """A URL serves as a key and cannot be changed under somebody's feet."""
    url = parse_url("postgresql://u:p@h/d?sslmode=require")
    assert hash(url) == hash(parse_url(url.render()))
    with pytest.raises(AttributeError):
        url.password = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        url.params["sslmode"] = "disable"  # type: ignore[index]


def test_a_url_can_be_copied_and_sent_to_another_process() -> None:
    """Worker processes are given their settings by pickle."""
    url = parse_url("postgresql+asyncpg://u:p%40@h/d?sslmode=require")
    assert pickle.loads(pickle.dumps(url)) == copy.deepcopy(url) == url


def test_a_parameter_that_is_a_secret_is_masked() -> None:
    """The password of a client key in the URL is a secret as well."""
    url = parse_url("postgresql://u@h/d?sslkey=/k&sslpassword=hunter22")
    assert "hunter22" not in repr(url)
    assert url.secrets() == ("hunter22",)
