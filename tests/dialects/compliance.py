"""SQLAlchemy's own suite for dialects, run on one dialect in a pytest of its own."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.harness.postgres import APP, Postgres

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).parent / "suite" / "setup.cfg"
SCHEMAS = ("test_schema", "test_schema_2")  # the suite takes them for granted
TIMEOUT = 300.0  # a dialect takes 15 to 20 s where nothing else runs
OF_THE_DIALECT = re.compile(r"_postgresql\+\w+$")  # SQLAlchemy appends "_postgresql+psycopg_18_6" to classes


@dataclass(frozen=True)
class Report:
    """What became of each test: its name, and "passed" or what it said instead."""

    outcomes: dict[str, str]

    @property
    def passed(self) -> set[str]:
        """Return the names of tests that passed."""
        return {name for name, outcome in self.outcomes.items() if outcome == "passed"}

    def missed(self, other: "Report") -> dict[str, str]:
        """Return what was said by each test that passed there and did not here."""
        return {name: self.outcomes.get(name, "was not run") for name in sorted(other.passed - self.passed)}

    def __str__(self) -> str:
        skipped = sum(outcome.startswith("skipped") for outcome in self.outcomes.values())
        failed = len(self.outcomes) - len(self.passed) - skipped
        return f"{len(self.passed)} passed, {skipped} skipped, {failed} failed"


def run_suite(server: Postgres, dialect: str, *arguments: str) -> Report:
    """Run the suite, or what pytest's ``arguments`` choose of it, on a database of its own."""
    with server.lent_database() as database, TemporaryDirectory() as folder:
        for schema in SCHEMAS:
            server.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {APP}", database=database)
        url = server.url(database).replace("postgresql:", f"postgresql+{dialect}:", 1)
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-c", CONFIGURATION, "--dburi", url, "--junit-xml", results]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONW"))}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # pytest-asyncio would take the suite's coroutines
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            timeout=TIMEOUT,
            check=False,
            capture_output=True,
            text=True,
        )
        # 1: some tests failed. Anything else, and the results are not those of the suite.
        assert done.returncode in {0, 1}, f"{dialect}:\n{done.stdout[-5000:]}\n{done.stderr[-2000:]}"
        return _read(results)


def _read(results: Path) -> Report:
    outcomes: dict[str, str] = {}
    for case in ET.parse(results).iter("testcase"):
        name = f"{OF_THE_DIALECT.sub('', case.get('classname', ''))}::{case.get('name')}"
        said = [f"{part.tag}: {part.get('message')}" for part in case if part.tag in {"failure", "error", "skipped"}]
        # A test whose tear-down failed is listed twice.
        outcomes[name] = "; ".join(said) or outcomes.get(name, "passed")
    return Report(outcomes)
