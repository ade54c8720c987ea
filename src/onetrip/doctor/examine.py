"""The examination: settings, the way there, the endpoint, the server; in under ten seconds, whatever answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg

from onetrip._core import classify
from onetrip._core.endpoint import Kind
from onetrip._core.probing import Capabilities
from onetrip._engine.probe import cut_after, probe
from onetrip.doctor import blame
from onetrip.doctor.budget import Budget
from onetrip.doctor.deployment import deployment
from onetrip.doctor.endpoint import judge_endpoint, judge_environment, judge_migrations
from onetrip.doctor.findings import Finding, Level, Outcome, Report, Step, in_order, shown
from onetrip.doctor.judge import Case, judge
from onetrip.doctor.route import NAMES, Route
from onetrip.doctor.server import Facts, ask
from onetrip.doctor.target import Target, aim, aim_at_migrations
from onetrip.errors import ConfigurationError, OnetripError
from onetrip.settings import Settings

SECONDS = 8.0
"""After this nothing new is begun; what has begun may take two seconds more, libpq's shortest time-out."""
PROBE = 3.0


class Examination:
    """Look once; ``report()`` has all that was seen."""

    def __init__(self, workers: int | None, replicas: int | None) -> None:
        self.environment: Mapping[str, str] = os.environ
        self.workers, self.replicas = workers, replicas
        self.budget = Budget(SECONDS)
        self.steps: tuple[Step, ...] = tuple(Step(name, Outcome.NOT_REACHED) for name in NAMES)
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}
        self.target: Target | None = None

    def run(self, url: str | None, settings: Settings | None) -> None:
        """Go as far as it is possible."""
        try:
            settings = settings or (Settings() if url is None else Settings(database_url=url))
            self.target = aim(settings, self.environment)
        except OnetripError as error:
            self.findings += _misconfigured(error)
            return
        self.findings += judge_environment(self.target.url, self.environment)
        self.findings += [Finding("adjusted", Level.NOTE, note) for note in self.target.profile.notes]
        route = Route(self.target, self.budget)
        connection = route.walk()
        self.steps = tuple(route.steps)
        self.findings += route.findings
        self._keep_route(route)
        if connection is not None:
            self._examine_inside(self.target, connection)

    def report(self) -> Report:
        """Return what was found, the cause first."""
        name = str(self.target.url) if self.target else "the settings"
        return Report(name, self.steps, in_order(self.findings), self.facts, self.budget.spent)

    def _examine_inside(self, target: Target, connection: psycopg.Connection[Any]) -> None:
        facts: Facts | None = None
        try:
            with closing(connection), cut_after(connection, self.budget.left()):
                facts = ask(connection)
        except psycopg.Error as error:
            self._unfinished("the server's figures", error)
        seen = None
        if self.budget.over:
            self.findings.append(Finding("not-examined", Level.NOTE, "the time was up before the endpoint was tried"))
        else:
            seen = self._probe(target)
            self.findings += judge_endpoint(target, seen) if seen else []
            self._look_at_migrations(target)
        if facts is not None:
            self._judge(target, facts, seen.kind if seen else target.endpoint.kind)

    def _judge(self, target: Target, facts: Facts, kind: Kind) -> None:
        settings = target.settings
        plan = deployment(self.environment, pool_max=settings.pool_max, workers=self.workers, replicas=self.replicas)
        serious = settings.tier in {"preview", "production"}
        self.findings += judge(Case(facts, target.url, target.endpoint, kind, plan, serious))
        self.facts["deployment"] = {"connections": plan.connections, "workers": plan.workers}
        self.facts["deployment"] |= {"replicas": plan.replicas, "pool_max": plan.pool_max}
        self.facts["server"] = {"version": facts.version, "round_trip": facts.round_trip, "clock_skew": facts.skew}
        self.facts["server"] |= {**facts.role, "clients": len(facts.clients)}

    def _probe(self, target: Target) -> Capabilities | None:
        try:
            seen = probe(target.url, timeout=self.budget.left(PROBE))
        except psycopg.Error as error:
            self._unfinished("the endpoint's kind", error)
            return None
        self.facts["endpoint"] = {
            "provider": target.endpoint.provider,
            "declared": target.endpoint.kind.value,
            "seen": seen.kind.value,
            "options_arrive": seen.options_arrive,
            "named_statements_survive": seen.named_statements_survive,
            "session_state_leaks": seen.session_state_leaks,
            "proof": list(seen.proof),
        }
        return seen

    def _look_at_migrations(self, target: Target) -> None:
        try:
            other = aim_at_migrations(target)
        except ConfigurationError as error:
            why = "Migrations need a session: locks, and settings that last."
            self.findings.append(Finding("migration-url-unknown", Level.NOTE, error.what, why, error.hint or ""))
            return
        if other is None or self.budget.over:
            return
        try:
            self.findings += judge_migrations(other, probe(other.url, timeout=self.budget.left(PROBE)))
        except psycopg.Error as error:
            stopped = blame.refused(other, error)
            what = f"{other.name} cannot be reached: {stopped.said}"
            self.findings.append(
                Finding("migration-url-unreachable", Level.WRONG, what, stopped.finding.why, stopped.finding.fix)
            )

    def _unfinished(self, what: str, error: psycopg.Error) -> None:
        said = classify.plain(str(error)) or type(error).__name__
        said = "the time was up" if self.budget.over else said
        self.findings.append(Finding("not-examined", Level.NOTE, f"{what} could not be learnt: {shown(said)}"))

    def _keep_route(self, route: Route) -> None:
        if route.shown is None or self.target is None:
            return
        seen = route.shown.certificate
        self.facts["tls"] = {
            "version": route.shown.version,
            "mode": self.target.profile.tls.mode,
            "verified_against": self.target.profile.tls.rootcert,
            "issuer": seen.issuer,
            "names": list(seen.names),
            "expires": seen.expires.isoformat(),
            "distrust": route.shown.distrust,
        }


def examine(
    url: str | None = None,
    *,
    settings: Settings | None = None,
    workers: int | None = None,
    replicas: int | None = None,
) -> Report:
    """Examine the database that the environment names, or ``url``, or ``settings``; what fails is a finding.

    It connects, so it wakes a database that sleeps; it writes nothing and leaves nothing behind. ``workers`` and
    ``replicas`` say how many processes share the server; without them the usual variables are read.
    """
    examination = Examination(workers, replicas)
    examination.run(url, settings)
    return examination.report()


def _misconfigured(error: OnetripError) -> list[Finding]:
    """Return a finding for each line: settings complain of all that is wrong at once."""
    found = []
    for line in error.what.splitlines():
        what, _, fix = line.rpartition("; ")
        what, fix = (what, fix) if what else (line, error.hint or "change what it names")
        found.append(Finding(error.code, Level.WRONG, what, "Nothing is connected with such settings.", fix))
    return found
