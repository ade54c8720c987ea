"""No password that Hypothesis thinks of is printed, whatever else is wrong with the URL it stands in."""

from typing import get_args
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from onetrip import Settings, errors
from onetrip.settings import Driver

pieces = st.sampled_from([*"%@:/?#&= \"'\\[]{}()<>,;é漢\u2028$", "password=", "postgresql://", "://", "***", "%25"])
passwords = st.lists(pieces, max_size=8).map("".join).map("qZ7x{}9Kw".format)
schemes = st.sampled_from(["postgresql", "postgres", "postgresql+asyncpg", "postgresql+pg8000", "mysql"])
tails = st.sampled_from(
    [*("", "?sslmode=requir", "?foo=1", "?connect_timeout=abc", "?statement_cache_size=z", "?sslmode=a&sslmode=b"),
     *("?password={}", "?sslpassword={}", "?sslmode={}", "?sslkey=/k&sslpassword={}&foo=1")]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(password=passwords, escaped=st.booleans(), scheme=schemes, tail=tails, driver=st.sampled_from(get_args(Driver)))
def test_no_password_is_printed(password: str, escaped: bool, scheme: str, tail: str, driver: str) -> None:
    """Neither by what accepts the URL nor by the error that refuses it, raw or escaped."""
    written = quote(password, safe="") if escaped else password
    url = f"{scheme}://user:{written}@127.0.0.1:1/db{tail.format(written)}"
    try:
        given_settings = Settings(database_url=url, driver=driver, tier="production")
    except errors.ConfigurationError as error:
        shown = [str(error), repr(error), error.line, repr(error.__cause__), repr(error.__context__)]
    else:
        shown = [repr(given_settings), str(given_settings.url), repr(given_settings.explain())]
    assert [line for line in shown if "qZ7x" in line] == []
