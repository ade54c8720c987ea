"""What breaks on the way to the server: the step that failed is named, with the line to change."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from onetrip._core.endpoint import describe
from onetrip.doctor import Level, Report, target
from tests.doctor.conftest import Look, cause, found
from tests.harness.certificates import DAY, Authority
from tests.harness.missing import missing
from tests.harness.postgres import Postgres
from tests.harness.process import free_port, identity
from tests.harness.proxy import Proxy
from tests.harness.wait import until


def failed(report: Report) -> str:
    """Return the name of the step that failed; those after it were not reached."""
    outcomes = [step.outcome.value for step in report.steps]
    number = outcomes.index("failed")
    assert set(outcomes[number + 1 :]) <= {"not reached"}
    return report.steps[number].name


@pytest.fixture
def tls_url(postgres15_tls: Postgres) -> str:
    """Give a URL that demands all that the server with TLS can give."""
    return postgres15_tls.url(sslmode="verify-full", sslrootcert=postgres15_tls.ca_file)


@contextmanager
def certificate(server: Postgres, authority: Authority, *hosts: str, lasts: timedelta = DAY) -> Iterator[None]:
    """Have the server show another certificate."""
    key, shown = server.data / "other.key", server.data / "other.crt"
    authority.issue(*hosts, lasts=lasts).write(key, shown)
    if who := identity():
        shutil.chown(key, who["user"], who["group"])
    before = server.settings
    try:
        server.settings = before | {"ssl_cert_file": shown, "ssl_key_file": key}
        reload(server)
        yield
    finally:
        server.settings = before
        reload(server)


def reload(server: Postgres) -> None:
    """Have the server read its settings, without a connection that would have to trust its certificate."""
    server.write_settings()
    heard = "received SIGHUP"  # logged by the process that accepts connections, before it accepts the next one
    times = server.log_text().count(heard)
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: server.log_text().count(heard) > times, message=server.tail)


@contextmanager
def only_rule(server: Postgres, *rules: str) -> Iterator[None]:
    """Have pg_hba.conf hold nothing but these rules, and one for the harness."""
    file = server.data / "pg_hba.conf"
    before = file.read_text()
    try:
        file.write_text("\n".join(["host all postgres 127.0.0.1/32 scram-sha-256", *rules, ""]))
        server.reload()
        yield
    finally:
        file.write_text(before)
        server.reload()


def test_all_is_well_over_tls(look: Look, tls_url: str) -> None:
    """Where nothing is wrong nothing is said to be: every step has its time, TLS says what it was verified against."""
    report = look(tls_url, DATABASE_POOL_MAX="5")
    assert not report.wrong, report.findings
    assert [step.outcome.value for step in report.steps] == ["ok", "ok", "ok", "ok", "skipped", "ok"]
    assert report.facts["tls"]["distrust"] is None
    assert report.facts["tls"]["issuer"] == "onetrip tests"
    assert "verify-full against" in report.steps[2].said


def test_unknown_host(look: Look) -> None:
    """The name is the cause, and the line it stands in is shown."""
    report = look("postgresql://app:hunter22@no-such-host.invalid/app")
    assert failed(report) == "DNS"
    assert "no-such-host.invalid" in cause(report, "host-unknown").fix


def test_refused_port(look: Look) -> None:
    """Nobody listens there."""
    report = look(f"postgresql://app:hunter22@127.0.0.1:{free_port()}/app")
    assert failed(report) == "TCP"
    assert "host and port" in cause(report, "database-unreachable").fix


def test_a_socket_that_is_not_there(look: Look, tmp_path: Path) -> None:
    """DNS, TCP and TLS have no part in a Unix socket; the missing file is the cause."""
    report = look(f"postgresql://app:hunter22@/app?host={tmp_path}")
    assert [step.outcome.value for step in report.steps[:4]] == ["skipped", "skipped", "skipped", "failed"]
    cause(report, "database-unreachable")


def test_an_address_in_the_url_is_used_and_the_name_still_verified(look: Look, postgres15_tls: Postgres) -> None:
    """The address says where, the host says who: DNS is not asked."""
    query = {"sslmode": "verify-full", "sslrootcert": postgres15_tls.ca_file, "hostaddr": "127.0.0.1"}
    assert not look(postgres15_tls.url(host="localhost", **query), DATABASE_POOL_MAX="5").wrong
    elsewhere = look(postgres15_tls.url(host="no-such-host.invalid", **query))
    assert "not for no-such-host.invalid" in cause(elsewhere, "tls-refused").what


def test_silent_port(look: Look) -> None:
    """An open port that says nothing is told apart from a refusing one, well before ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        report = look(f"postgresql://app:hunter22@127.0.0.1:{listener.getsockname()[1]}/app?sslmode=require")
    assert failed(report) == "TLS"
    assert "nothing is said" in cause(report, "connect-timeout").what


@pytest.mark.parametrize(("answer", "said"), [(b"HTTP/1.1 400 Bad Request", "does not speak"), (b"", "hung up")])
def test_something_else_listens_there(look: Look, answer: bytes, said: str) -> None:
    """A web server, or what closes at once, is no database without TLS."""

    def serve() -> None:
        for _ in range(2):  # one connection to see whether somebody is there, one to speak
            line, _ = listener.accept()
            with line:
                line.recv(8)
                line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve)
        report = look(f"postgresql://app:hunter22@127.0.0.1:{listener.getsockname()[1]}/app?sslmode=require")
        served.result(timeout=5)
    assert failed(report) == "TLS"
    assert said in cause(report, "database-unreachable").what


@pytest.mark.slow  # nothing but the time tells silence from slowness
def test_silent_after_the_handshake(look: Look, postgres: Postgres, database_url: str) -> None:
    """A server whose answers are lost, with no TLS to notice it before, ends in time as well."""
    with Proxy(postgres.port) as proxy:
        proxy.deaf()
        report = look(proxy.url(database_url) + "?sslmode=disable")
        proxy.hear()
    assert failed(report) == "authentication"
    assert "DATABASE_CONNECT_TIMEOUT" in cause(report, "connect-timeout").fix


def test_ipv6_only() -> None:
    """On a machine without IPv6 (a network of its own, with nothing in it) an IPv6 address is the cause."""
    if os.geteuid() or not shutil.which("unshare"):
        missing("a network namespace", "run the tests as root, with unshare from util-linux")
    variables = {"DATABASE_URL": "postgresql://app:hunter22@[2001:db8::7]/app", "PATH": os.environ["PATH"]}
    command = ["unshare", "--net", Path(sys.executable).with_name("onetrip"), "doctor", "--json"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    first = json.loads(done.stdout)["findings"][0]
    assert first["code"] == "ipv6-only"
    assert "IPv4" in first["fix"]


def test_one_of_several_hosts_is_enough(look: Look, postgres15_tls: Postgres, tls_url: str) -> None:
    """Where the URL names several, an unknown one is a note: libpq goes to the next."""
    here = f"127.0.0.1:{postgres15_tls.port}"
    report = look(tls_url.replace(here, f"no-such-host.invalid:5432,{here}"), DATABASE_POOL_MAX="5")
    assert found(report, "host-unknown").level is Level.NOTE
    assert not report.wrong, report.findings


def test_wrong_password(look: Look, postgres: Postgres, database: str) -> None:
    """The password is the cause; the line shows where to write it, masked."""
    report = look(postgres.url(database, password="hunter22"))
    assert failed(report) == "authentication"
    assert ":***@" in cause(report, "authentication-failed").fix


def test_missing_database(look: Look, postgres: Postgres) -> None:
    """The name at the end of the URL is the cause."""
    assert "CREATE DATABASE nowhere" in cause(look(postgres.url("nowhere")), "database-missing").fix


def test_no_rule_for_this_address(look: Look, postgres: Postgres, database: str) -> None:
    """pg_hba.conf has no line that fits."""
    with only_rule(postgres, "host nothing nobody 127.0.0.1/32 scram-sha-256"):
        report = look(postgres.url(database))
    assert failed(report) == "authentication"
    assert "pg_hba.conf" in cause(report, "address-refused").fix


def test_plaintext_is_refused_by_the_server(look: Look, postgres15_tls: Postgres) -> None:
    """A URL without TLS to a server that insists on it."""
    report = look(postgres15_tls.url(sslmode="disable"))
    assert "sslmode=require" in cause(report, "tls-refused").fix


def test_a_server_without_tls(look: Look, postgres: Postgres, database: str) -> None:
    """The URL asks for TLS, the server has none: the cause is found before the password is tried."""
    report = look(postgres.url(database, sslmode="require"))
    assert failed(report) == "TLS"
    assert "sslmode=disable" in cause(report, "tls-refused").fix


def test_wrong_ca(look: Look, postgres15_tls: Postgres, tmp_path: Path) -> None:
    """The certificate is signed by somebody else than sslrootcert says: who signed it is named."""
    (tmp_path / "other.crt").write_bytes(Authority("somebody else").certificate)
    report = look(postgres15_tls.url(sslmode="verify-full", sslrootcert=tmp_path / "other.crt"))
    assert failed(report) == "TLS"
    first = cause(report, "tls-refused")
    assert "issued by onetrip tests" in first.what
    assert "sslrootcert=/path/to/its/ca.crt" in first.fix


@pytest.mark.parametrize("text", [None, "this is no certificate"])
def test_a_ca_file_that_is_none(look: Look, postgres15_tls: Postgres, tmp_path: Path, text: str | None) -> None:
    """A missing file and one without a certificate are named, and the server is not blamed."""
    file = tmp_path / "ca.crt"
    if text:
        file.write_text(text)
    first = cause(look(postgres15_tls.url(sslmode="verify-full", sslrootcert=file)), "tls-refused")
    assert f"cannot be used: {file}" in first.what
    assert "sslrootcert" in first.fix


def test_require_is_told_that_more_would_hold(
    look: Look, postgres15_tls: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote host with sslmode=require, whose certificate would stand up to verify-full: the line is written out."""
    monkeypatch.setenv("PGSSLROOTCERT", str(postgres15_tls.ca_file))
    # All servers of the tests are on this machine; this one is taken for a remote one.
    monkeypatch.setattr(target, "describe", lambda *given: replace(describe(*given), is_local=False))
    url = postgres15_tls.url(host="db.example.com", sslmode="require", hostaddr="127.0.0.1")
    authority = postgres15_tls.authority
    assert authority
    with certificate(postgres15_tls, authority, "db.example.com"):
        finding = found(look(url), "tls-unverified")
    assert "would hold" in finding.why
    assert "sslmode=verify-full" in finding.fix


def test_expired_certificate(look: Look, postgres15_tls: Postgres, tls_url: str) -> None:
    """The day on which it expired is said; nobody is told to verify less."""
    authority = postgres15_tls.authority
    assert authority
    with certificate(postgres15_tls, authority, "localhost", "127.0.0.1", lasts=-DAY):
        report = look(tls_url)
    first = cause(report, "tls-refused")
    assert "expired on 20" in first.what
    assert "renew" in first.fix


def test_certificate_for_another_name(look: Look, postgres15_tls: Postgres, tls_url: str) -> None:
    """The name that the certificate has is the one to write."""
    authority = postgres15_tls.authority
    assert authority
    with certificate(postgres15_tls, authority, "db.example.com"):
        report = look(tls_url)
    first = cause(report, "tls-refused")
    assert "for db.example.com, not for 127.0.0.1" in first.what
    assert "@db.example.com:" in first.fix


def test_a_certificate_that_expires_soon_is_noted(look: Look, tls_url: str) -> None:
    """Before it is too late; the tests' own certificate lasts a day."""
    finding = found(look(tls_url), "certificate-expires")
    assert finding.level is Level.NOTE


def test_a_parameter_that_no_driver_knows(look: Look) -> None:
    """Old and foreign parameters are refused by name before anything is sent."""
    first = cause(look("postgresql://app:hunter22@127.0.0.1/app?requiressl=1"), "configuration")
    assert "requiressl" in first.what
    assert "remove" in first.fix


def test_a_pooled_migration_url(look: Look) -> None:
    """Both URLs lead through a pooler: the settings say so, and which host to write."""
    pooled = "postgresql://app:hunter22@ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech/app"
    first = cause(look(pooled, MIGRATION_DATABASE_URL=pooled), "configuration")
    assert "MIGRATION_DATABASE_URL leads through a transaction pooler" in first.what
    assert "ep-cool-darkness-123456.us-east-2" in first.fix
