"""What a provider's proxy says and does: quotas, sleep, names."""

import pytest

from onetrip import Settings
from onetrip.doctor import Level, blame
from onetrip.doctor.target import aim
from tests.doctor.conftest import Look, cause, found
from tests.harness import binaries
from tests.harness.neon import NeonProxy, resolve_names
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

ADDRESS = (
    "This IP address 203.0.113.9 is not allowed to connect to this endpoint. Please add it to the allowed list in the "
    "Neon console. Make sure to check for IPv4 or IPv6 addresses."
)
QUOTA = "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."


def test_neon_is_fine_as_its_console_writes_it(look: Look, neon_pooled_url: str) -> None:
    """The pooled URL, verbatim: a transaction pooler by name and by behaviour, its direct twin for migrations."""
    report = look(neon_pooled_url)
    assert not report.wrong, report.findings
    assert report.facts["endpoint"]["provider"] == "neon"
    assert report.facts["endpoint"]["declared"] == report.facts["endpoint"]["seen"] == "transaction"
    assert found(report, "migration-url").level is Level.OK


def test_neon_direct_lets_options_arrive(look: Look, neon_url: str) -> None:
    """The proxy drops every other start-up parameter, and keeps options."""
    report = look(neon_url)
    assert not report.wrong, report.findings
    assert report.facts["endpoint"]["seen"] == "direct"
    assert report.facts["endpoint"]["options_arrive"]
    assert "channel binding proves" in found(report, "tls-unverified").what


@pytest.mark.parametrize(
    ("text", "code", "fix"),
    [
        (QUOTA, "quota-exceeded", "raise the limit"),
        ("The endpoint has been disabled. Enable it using Neon API and retry.", "endpoint-disabled", "enable it"),
        (ADDRESS, "address-refused", "allow list"),
    ],
)
def test_what_the_control_plane_objects_to(
    look: Look, neon: NeonProxy, neon_url: str, text: str, code: str, fix: str
) -> None:
    """It comes while connecting, under an SQLSTATE that says nothing: the words are the cause."""
    with neon.refusing(text):
        report = look(neon_url)
    first = cause(report, code)
    assert text in first.what
    assert fix in first.fix


def test_an_address_instead_of_the_name(look: Look, neon: NeonProxy, neon_names: None) -> None:
    """Without the host name the proxy cannot tell which endpoint is meant, nor bind the password to TLS."""
    report = look(neon.url(host="127.0.0.1", channel_binding=None))
    assert "put the host name" in cause(report, "endpoint-unknown").fix
    report = look(neon.url(host="127.0.0.1"))
    assert "host name back" in cause(report, "tls-refused").fix


def test_a_suspended_database_wakes_and_is_told_how_long_it_took(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waking has a line and a time of its own, told apart from a slow connection by a second one."""
    postgres = Postgres(binaries.embedded())
    pooler = PgBouncer(postgres)
    resolve_names(monkeypatch)
    try:
        postgres.start()
        pooler.start()
        with NeonProxy(postgres, pooler) as neon:
            neon.waking_takes = 1.5
            neon.suspend()
            report = look(neon.url())
            assert neon.wakes == 1
        assert not report.wrong, report.findings
        assert report.steps[4].name == "waking"
        assert report.steps[4].said.startswith("about ")
        assert found(report, "waking").level is Level.OK
    finally:
        pooler.stop()
        postgres.stop()
        pooler.remove()
        postgres.remove()


def test_too_little_time_to_wake_is_wrong() -> None:
    """A time-out that barely covers what waking took will not cover it the next time."""
    url = "postgresql://app@127.0.0.1/app"
    patient, impatient = (aim(Settings(database_url=url, connect_timeout=limit), {}) for limit in (10.0, 2.0))
    assert blame.woke(patient, 1.5).level is Level.OK
    assert blame.woke(impatient, 1.5).level is Level.WRONG
    assert blame.woke(impatient, 1.5).fix == "DATABASE_CONNECT_TIMEOUT=30"
