"""``onetrip bench``: how often this application waits for its database, and what onetrip saves."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from onetrip.cli._app import app

if TYPE_CHECKING:
    from rich.table import Table

    from onetrip.bench import Report, Unit


@app.command()
def bench(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object for a machine to read.")] = False,
    rounds: Annotated[int, typer.Option(min=3, max=1000, help="How often each unit of work is timed.")] = 10,
) -> None:
    """Count network trips and time them on DATABASE_URL: SQLAlchemy as it comes beside onetrip, over the same driver.

    It connects, so it wakes a database that sleeps; it sends SELECT 1 and settings of a transaction, nothing else.
    """
    from onetrip.bench import measure
    from onetrip.settings import Settings

    settings = Settings()
    if settings.endpoint.sleeps:
        print("onetrip: this wakes the database if it sleeps, and its owner pays for that", file=sys.stderr)
    report = measure(settings, rounds=rounds)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    way = "through a pooler" if report.pooled else "direct"
    safe = "TLS" if report.encrypted else "no TLS"
    console.print(Text(f"{report.target} over {report.driver}, {way}, {safe}: a trip takes {_time(report.round_trip)}"))
    console.print()
    console.print(_table(report))
    console.print()
    for line in _savings(report):
        console.print(Text(line))


def _table(report: Report) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("unit of work", overflow="fold")
    sides = ("stock", "stock + pre_ping", "onetrip")
    for side in sides:
        table.add_column(side, justify="right")
    for unit in report.units:
        table.add_row(unit.name, *(_cell(unit, side) for side in sides))
    return table


def _cell(unit: Unit, side: str) -> str:
    trips = unit.trips[side]
    return f"{trips} trip{'' if trips == 1 else 's'}, {_time(unit.seconds[side])}"


def _savings(report: Report) -> list[str]:
    if not report.one_trip:
        return ["DATABASE_ONE_TRIP is off: onetrip ran over SQLAlchemy's own dialects"]
    read, *_, settled = report.units
    return [_saving(unit) for unit in (read, settled)]


def _saving(unit: Unit) -> str:
    fewer = unit.trips["stock"] - unit.trips["onetrip"]
    share = unit.saved / unit.seconds["stock"]
    return f"saved: {fewer} trip{'' if fewer == 1 else 's'}, {_time(unit.saved)} ({share:.0%}) of {unit.name}"


def _time(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
