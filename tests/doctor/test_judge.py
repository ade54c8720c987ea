"""What figures mean, where no server of ours can show them: too old, crowded, kept awake."""

from dataclasses import replace
from typing import Any

import pytest

from onetrip._core.endpoint import Kind, describe
from onetrip._core.url import parse_url
from onetrip.doctor.deployment import deployment
from onetrip.doctor.findings import Finding, Level
from onetrip.doctor.judge import Case, judge
from onetrip.doctor.server import Facts

NEON = "postgresql://app:hunter22@ep-cool-darkness-123456.us-east-2.aws.neon.tech/app"
ROLE = {
    "user": "app",
    "login": "app",
    "superuser": False,
    "bypasses_rls": False,
    "role_limit": -1,
    "database": "app",
    "database_limit": -1,
    "max_connections": 104,
    "reserved": 7,
    "replica": False,
    "brings_a_role": False,
    "sees_all": True,
}


def session(**changed: Any) -> dict[str, Any]:
    """Make a row of pg_stat_activity."""
    row = {"pid": 7, "user": "app", "database": "app", "application_name": "web", "state": "idle"}
    row |= {"backend_type": "client backend", "blocked": False, "blocked_by": [], "since": 600.0, "listens": False}
    return row | changed


def case(url: str = NEON, kind: Kind = Kind.DIRECT, **facts: Any) -> Case:
    """Make a case of an otherwise sound server."""
    sound = replace(Facts(version=170004, role=ROLE), **facts)
    parsed = parse_url(url)
    return Case(sound, parsed, describe(parsed), kind, deployment({}, pool_max=10), serious=True)


def codes(case: Case, level: Level) -> list[Finding]:
    """Return the findings of a level."""
    return [finding for finding in judge(case) if finding.level is level]


def test_a_sound_server_has_nothing_wrong() -> None:
    """Or else no finding below could be trusted."""
    assert codes(case(), Level.WRONG) == []


def test_too_old_a_server_is_the_first_thing_wrong() -> None:
    """14 is below the floor; 15.0 is not."""
    wrong = codes(case(version=140011), Level.WRONG)
    assert [finding.code for finding in wrong] == ["server-too-old"]
    assert "14.11" in wrong[0].what
    assert codes(case(version=150000), Level.WRONG) == []


@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ([session(state="active")] * 101, "101 sessions work at once"),
        ([session(state="active", blocked=True)] * 9, "9 of 9 wait for locks"),
        ([session()] * 80, "80 of 97 connections are taken"),
    ],
)
def test_the_triggers_of_a_pooler(sessions: list[dict[str, Any]], said: str) -> None:
    """ADR-005: users, contention, limits, and what a pool would gain; both URLs are written out."""
    busy = {"sessions": 9, "session_time": 1000.0, "active_time": 20.0, "idle_in_transaction_time": 0.0}
    due = next(finding for finding in judge(case(sessions=tuple(sessions), busy=busy)) if finding.code == "pooler-due")
    assert said in due.what
    assert "work 2% of their time" in due.what
    assert "DATABASE_URL=postgresql://app:***@ep-cool-darkness-123456-pooler." in due.fix
    assert "MIGRATION_DATABASE_URL=postgresql://app:***@ep-cool-darkness-123456.us" in due.fix


def test_behind_a_pooler_none_is_due() -> None:
    """It is there already."""
    crowd = tuple([session()] * 80)
    assert "pooler-due" not in [finding.code for finding in judge(case(kind=Kind.TRANSACTION, sessions=crowd))]


def test_what_keeps_a_sleeping_database_awake_is_named() -> None:
    """A session that asks, one that listens, a replication slot, autovacuum; an idle one does not."""
    sessions = (
        session(application_name="metabase", since=12.0),
        session(application_name="worker", since=40.0, listens=True),
        session(application_name="sleeper", since=900.0),
        session(backend_type="autovacuum worker", user=None, state="active", since=1.0),
    )
    found = case(sessions=sessions, replication={"senders": 1, "slots": 0})
    said = [finding.what for finding in judge(found) if finding.code == "keeps-awake"]
    assert [next(word for word in ("metabase", "worker", "autovacuum", "replication") if word in line) for line in said]
    assert len(said) == 4
    assert not any("sleeper" in line for line in said)


def test_where_nothing_sleeps_nothing_keeps_it_awake() -> None:
    """On a server that runs all day the question does not arise."""
    found = case("postgresql://app:hunter22@127.0.0.1/app", sessions=(session(since=1.0),))
    assert "keeps-awake" not in [finding.code for finding in judge(found)]


@pytest.mark.parametrize(("skew", "round_trip", "wrong"), [(6.0, 0.1, True), (-6.0, 0.1, True), (6.0, 3.0, False)])
def test_a_clock_is_wrong_only_beyond_what_the_line_explains(skew: float, round_trip: float, wrong: bool) -> None:
    """Half a round trip may be on either side."""
    found = [finding.code for finding in codes(case(skew=skew, round_trip=round_trip), Level.WRONG)]
    assert found == (["clock-skew"] if wrong else [])
