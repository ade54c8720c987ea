"""What each folder of tests may cost, so that `make test` stays under ten minutes for good."""

from collections import Counter
from pathlib import PurePosixPath

import pytest

BUDGETS = {  # seconds on two cores, without tests marked slow
    "cli": 15,
    "contract": 100,
    "core": 10,
    "dialects": 5,
    "doctor": 30,
    "examples": 60,
    "failures": 90,
    "fastapi": 35,
    "harness_selftest": 15,
    "local": 65,
    "migrations": 10,
    "settings": 30,
    "testing": 30,
    "trips": 20,
    "typing": 5,
    ".": 30,
}
TOTAL = 550  # the rest of the ten minutes is the installation


def folder_of(nodeid: str) -> str:
    """Return the folder below tests/ that pays for a test; "." is tests/ itself."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 else "."


class Ledger:
    """Adds up the seconds of every test and prints them beside the budgets."""

    def __init__(self, *, enforce: bool) -> None:
        self.enforce = enforce
        self.seconds: Counter[str] = Counter()
        self.slow_seconds: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse a folder that nobody gave a budget."""
        if unknown := sorted({folder_of(item.nodeid) for item in session.items} - BUDGETS.keys()):
            raise pytest.UsageError(f"give {', '.join(unknown)} a time budget in tests/harness/budgets.py")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Charge set-up, call and tear-down to the folder."""
        ledger = self.slow_seconds if "slow" in report.keywords else self.seconds
        ledger[folder_of(report.nodeid)] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("seconds by folder", sep="-")
        for folder in sorted(self.seconds.keys() | self.slow_seconds.keys()):
            line = f"tests/{folder:<18}{self.seconds[folder]:>7.1f} of {BUDGETS[folder]:>3}"
            line += f"   slow {self.slow_seconds[folder]:.1f}" if self.slow_seconds[folder] else ""
            line += "   OVER BUDGET" if folder in self.over() else ""
            terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail the run for a folder over its budget, when asked to."""
        if self.enforce and self.over() and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def over(self) -> list[str]:
        """Return the folders that cost more than they may."""
        return [folder for folder, seconds in self.seconds.items() if seconds > BUDGETS[folder]]
