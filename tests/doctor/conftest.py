"""Look at a set-up as `onetrip doctor` does, and keep account of how long each look took."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from onetrip._engine.probe import forget
from onetrip.doctor import Finding, Level, Report, examine

Look = Callable[..., Report]
LIMIT = 10.0  # s
took: dict[str, float] = {}


@pytest.fixture
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Examine what the environment names: ``look(url)``, or with more variables as keywords."""

    def look(url: str, *, workers: int | None = None, replicas: int | None = None, **variables: str) -> Report:
        given = {"DATABASE_URL": url, "APP_ENV": "production", "DATABASE_POOL_MAX": "20", **variables}
        forget()
        with monkeypatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            report = examine(workers=workers, replicas=replicas)
        took[request.node.name] = report.seconds
        assert report.seconds < LIMIT
        password = urlsplit(url).password
        assert not password or password not in json.dumps(report.as_dict())
        return report

    return look


def cause(report: Report, code: str) -> Finding:
    """Return the first wrong finding, which must be ``code``."""
    first = report.findings[0]
    assert first.level is Level.WRONG, report.findings
    assert first.code == code, [(finding.code, finding.what) for finding in report.findings]
    return first


def found(report: Report, code: str) -> Finding:
    """Return the finding of that code, wherever it stands."""
    return next(finding for finding in report.findings if finding.code == code)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long the doctor took for each set-up."""
    if took:
        terminalreporter.section("seconds of onetrip doctor", sep="-")
        for name, seconds in sorted(took.items(), key=lambda row: -row[1]):
            terminalreporter.write_line(f"{seconds:6.2f}  {name}")
