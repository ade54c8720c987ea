"""The way to the server, step by step, each with its time; the first that fails is the root of what is wrong."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import psycopg

from onetrip._core import classify
from onetrip._core.endpoint import DEFAULT_PORT
from onetrip._core.url import Host
from onetrip._engine.probe import Connection, cut_after
from onetrip._engine.tls import ca_bundle
from onetrip.doctor import blame
from onetrip.doctor.budget import Budget, within
from onetrip.doctor.certificate import Place, Shown, examine, offers_tls, trusting
from onetrip.doctor.findings import Finding, Outcome, Step
from onetrip.doctor.target import Target
from onetrip.errors import DatabaseWaking, Phase

NAMES = ("DNS", "TCP", "TLS", "authentication", "waking", "first query")
DNS, TCP, TLS, CONNECT = 3.0, 2.0, 2.5, 6.0  # seconds that each may take at most
SLOW = 1.0  # seconds: only then is a second connection opened, to see whether the first one had to wake somebody
PAUSE = 0.25


class Route:
    """Walk to the server once; ``steps`` and ``findings`` tell how far it went."""

    def __init__(self, target: Target, budget: Budget) -> None:
        self.target, self.budget = target, budget
        self.steps: list[Step] = []
        self.findings: list[Finding] = []
        self.places: list[Place] = []
        self.place: Place | None = None
        self.shown: Shown | None = None
        self.connection: Connection | None = None
        self._first = 0.0

    def walk(self) -> Connection | None:
        """Return an open autocommit connection, the caller's to close, or None where a step failed."""
        steps: tuple[Callable[[], tuple[Outcome, str]], ...] = (
            self._resolve,
            self._reach,
            self._encrypt,
            self._authenticate,
            self._measure_waking,
            self._ask,
        )
        for name, take in zip(NAMES, steps, strict=True):
            since = time.monotonic()
            try:
                outcome, said = take()
            except blame.Stopped as stopped:
                self.steps.append(Step(name, Outcome.FAILED, stopped.said, time.monotonic() - since))
                self.steps += [Step(later, Outcome.NOT_REACHED) for later in NAMES[len(self.steps) :]]
                self.findings.append(stopped.finding)
                self.close()
                return None
            seconds = None if outcome is Outcome.SKIPPED else time.monotonic() - since
            self.steps.append(Step(name, outcome, said, seconds))
        return self.connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    # The steps, in order

    def _resolve(self) -> tuple[Outcome, str]:
        fixed = [address for address in self.target.url.params.get("hostaddr", "").split(",") if address]
        named = [host for host in self.target.url.hosts if host.name and not host.is_socket]
        hosts = named or [Host(address) for address in fixed]
        if not hosts:
            return Outcome.SKIPPED, "a Unix socket"
        unknown, why = [], ""
        for host, address in zip_longest(hosts, fixed[: len(hosts)]):
            try:
                self.places += self._addresses(host.name, address or host.name, host.port or DEFAULT_PORT, len(hosts))
            except OSError as error:  # socket.gaierror and TimeoutError are
                unknown.append(host.name)
                why = error.strerror or str(error)
        if not self.places:
            raise blame.host_unknown(self.target, unknown, why)
        self.findings += [blame.one_host_unknown(name) for name in unknown]
        return Outcome.OK, ", ".join(dict.fromkeys(place.address[0] for place in self.places))

    def _addresses(self, host: str, name: str, port: int, share: int) -> list[Place]:
        def look_up() -> list[Any]:
            return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)

        found = within(self.budget.left(DNS / share), look_up)
        return list(dict.fromkeys(Place(host, family, address) for family, _, _, _, address in found))

    def _reach(self) -> tuple[Outcome, str]:
        if not self.places:
            return Outcome.SKIPPED, "a Unix socket"
        failed: list[tuple[Place, OSError]] = []
        limit = Budget(self.budget.left(TCP))
        for place in self.places:
            try:
                place.connect(limit.left(max(1.0, TCP / len(self.places)))).close()
            except OSError as error:
                failed.append((place, error))
            else:
                self.place = place
                return Outcome.OK, str(place)
        raise blame.unreachable(self.target, failed)

    def _encrypt(self) -> tuple[Outcome, str]:
        mode = self.target.profile.tls.mode
        if self.place is None:
            return Outcome.SKIPPED, "not used on a Unix socket"
        if mode == "disable" and self.target.endpoint.is_local:
            return Outcome.SKIPPED, "sslmode=disable, on this machine"
        direct = self.target.url.params.get("sslnegotiation") == "direct"
        bundle = self.target.profile.tls.rootcert or ca_bundle()
        try:
            vouching = trusting(bundle)
        except OSError as error:
            raise blame.no_ca(self.target, bundle, error) from error
        try:
            if not direct and not offers_tls(self.place, self.budget.left(TLS)):
                return blame.no_tls(self.target, self.findings)
            self.shown = examine(self.place, vouching, self.budget.left(TLS), direct=direct)
        except ssl.SSLError as error:
            raise blame.tls_failed(self.target, str(error.reason or error)) from error
        except OSError as error:
            raise blame.silent(self.target, "TLS", error) from error
        return blame.certificate(self.target, self.shown, self.findings)

    def _authenticate(self) -> tuple[Outcome, str]:
        budget = Budget(self.budget.left(CONNECT))
        while True:
            try:
                self.connection = self._connect(budget.left())
            except (psycopg.Error, OSError) as error:
                found = classify.facts(error)
                waking = classify.classify(found, Phase.CONNECT) is DatabaseWaking
                if not waking or budget.left() < PAUSE:
                    encrypts = "no pg_hba.conf entry" not in found.text or self._offers_tls()
                    raise blame.refused(self.target, error, offers_tls=encrypts) from error
                time.sleep(PAUSE)
            else:
                info = self.connection.info
                self._first = budget.spent
                how = "encrypted; with TCP and TLS" if self.connection.pgconn.ssl_in_use else "not encrypted; with TCP"
                return Outcome.OK, f"{info.user} in {info.dbname}, {how}"

    def _offers_tls(self) -> bool:
        """Ask again where the URL made us not ask: what a refusal means depends on it."""
        try:
            return self.shown is not None or (self.place is not None and offers_tls(self.place, self.budget.left(TLS)))
        except OSError:
            return False

    def _connect(self, seconds: float) -> Connection:
        arguments = self.target.profile.arguments | {"prepare_threshold": None}
        several = len(self.target.url.hosts) > 1
        # libpq counts whole seconds, at least two, and for each host anew.
        arguments["connect_timeout"] = max(2, int(seconds / (len(self.places) if several and self.places else 1)))
        if self.place and not several:
            arguments["hostaddr"] = self.place.address[0]
        return psycopg.connect(**arguments, autocommit=True)

    def _measure_waking(self) -> tuple[Outcome, str]:
        if self._first < SLOW:
            return Outcome.SKIPPED, "it was awake"
        since = time.monotonic()
        try:
            self._connect(self.budget.left(CONNECT)).close()
        except (psycopg.Error, OSError):
            return Outcome.SKIPPED, f"connecting took {self._first:.1f} s; a second connection failed"
        again = time.monotonic() - since
        woke = self._first - again
        if woke < SLOW / 2:
            return Outcome.SKIPPED, f"connecting is slow, not waking: {again:.1f} s the second time, too"
        self.findings.append(blame.woke(self.target, woke))
        return Outcome.OK, f"about {woke:.1f} s: connecting took {self._first:.1f} s, and {again:.2f} s once awake"

    def _ask(self) -> tuple[Outcome, str]:
        assert self.connection is not None
        try:
            with cut_after(self.connection, self.budget.left()):
                self.connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise blame.refused(self.target, error) from error
        return Outcome.OK, "SELECT 1"
