"""Each thing that Neon's proxy says while connecting becomes the error that names its cause."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from onetrip import errors
from onetrip.errors import Retry
from tests.contract.face import Face
from tests.harness import neon_rules as rules
from tests.harness.neon import NeonProxy
from tests.harness.postgres import Postgres

Open = Callable[..., Face]
ONE = text("SELECT 1")

SAID = {
    rules.QUOTA: errors.QuotaExceeded,
    rules.ACTIVE_ENDPOINTS: errors.QuotaExceeded,
    rules.DISABLED: errors.EndpointDisabled,
    rules.DISABLED_406: errors.EndpointDisabled,
    rules.NOT_FOUND: errors.EndpointUnknown,
    rules.UNAVAILABLE: errors.DatabaseWaking,
    rules.CONTROL_PLANE: errors.DatabaseWaking,
    rules.NO_COMPUTE: errors.DatabaseWaking,
    rules.SLOW_LOGIN: errors.DatabaseWaking,
    rules.IP_NOT_ALLOWED: errors.AddressRefused,
    rules.BLOCKED_NETWORK: errors.AddressRefused,
    rules.NO_VPC: errors.AddressRefused,
    rules.TOO_MANY_CONNECTIONS: errors.TooManyConnections,
    rules.TOO_MANY_ATTEMPTS: errors.TooManyConnections,
    rules.NO_PERMIT: errors.TooManyConnections,
}
PASSING = (errors.DatabaseWaking, errors.TooManyConnections)


async def failure(db: Face) -> errors.DatabaseError:
    """Return what the first use of a database raises."""
    with pytest.raises(errors.DatabaseError) as failed:
        await db.fetch_value(ONE)
    return failed.value


@pytest.mark.parametrize("said", SAID, ids=lambda said: said[-40:])
async def test_a_text_is_known_by_its_words(open_neon: Open, neon: NeonProxy, said: str) -> None:
    """Whatever SQLSTATE it comes under; what passes by itself may be tried again, the rest may not."""
    db = open_neon(neon.url())
    for sqlstate in ("XX000", "28000", "28P01"):
        with neon.refusing(said, sqlstate):
            error = await failure(db)
        assert (type(error), error.sqlstate in {None, sqlstate}) == (SAID[said], True)
        assert said in error.what
        assert (error.retry is Retry.LATER) == isinstance(error, PASSING)


async def test_a_refusal_before_the_password_is_the_same(open_neon: Open, neon: NeonProxy) -> None:
    """Neon checks the address before it asks who is there."""
    with neon.refusing(rules.IP_NOT_ALLOWED, before_login=True):
        assert type(await failure(open_neon(neon.url()))) is errors.AddressRefused


@pytest.mark.parametrize("keeps", [False, True], ids=["XX000", "28P01"])
@pytest.mark.parametrize("wrong", ["password", "role", "endpoint"])
async def test_neon_never_says_which_was_wrong(
    open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch, wrong: str, *, keeps: bool
) -> None:
    """Password, role and endpoint all become AuthenticationFailed, and no password is in the words."""
    monkeypatch.setattr(neon, "keeps_sqlstates", keeps)
    secret = "s3cret-of-the-test"
    url = {
        "password": neon.url(password=secret),
        "role": neon.url(user="nobody", password=secret),
        "endpoint": neon.url(host="ep-gone-1.us-east-2.aws.neon.tech", password=secret),
    }[wrong]
    error = await failure(open_neon(url))
    assert type(error) is errors.AuthenticationFailed
    assert secret not in f"{error!s}{error.__cause__!r}"


async def test_an_endpoint_that_contradicts_the_host_is_unknown(open_neon: Open, neon: NeonProxy) -> None:
    """``options=endpoint%3D…`` left over from another branch names the wrong one."""
    error = await failure(open_neon(neon.url(options="endpoint=ep-other")))
    assert type(error) is errors.EndpointUnknown
    assert "ep-other" in error.what


async def test_what_the_compute_says_is_known_by_its_words(
    open_neon: Open, neon: NeonProxy, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing database and a full one, whether or not the proxy has thrown their SQLSTATEs away."""
    postgres.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')
    absent, full = open_neon(neon.url("absent")), open_neon(neon.url(database))
    for keeps in (False, True):
        monkeypatch.setattr(neon, "keeps_sqlstates", keeps)
        assert type(await failure(absent)) is errors.DatabaseMissing
        assert type(await failure(full)) is errors.TooManyConnections


@pytest.mark.parametrize("keeps", [False, True], ids=["XX000", "08P01"])
async def test_options_on_a_pooled_url_are_named(
    open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch, *, keeps: bool
) -> None:
    """PgBouncer takes no start-up options of the user's; the error says so to who claims that there is no pooler."""
    monkeypatch.setattr(neon, "keeps_sqlstates", keeps)
    error = await failure(open_neon(neon.url(pooled=True, options="-c search_path=x"), pooler="none"))
    assert type(error) is errors.StartupRefused
    assert "Please use unpooled connection" in error.what


async def test_a_stranger_s_certificate_is_refused(
    open_neon: Open, neon: NeonProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL without sslmode is verified against the authorities that everybody knows."""
    monkeypatch.delenv("PGSSLROOTCERT")
    error = await failure(open_neon(neon.url(sslmode=None, channel_binding=None)))
    assert type(error) is errors.TlsRefused
    assert "certificate verify failed" in error.what


async def test_plaintext_is_refused(open_neon: Open, neon: NeonProxy) -> None:
    """``sslmode=disable`` is honoured, and Neon says no."""
    error = await failure(open_neon(neon.url(sslmode="disable", channel_binding=None)))
    assert type(error) is errors.TlsRefused
