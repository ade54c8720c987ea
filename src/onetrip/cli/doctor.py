"""``onetrip doctor``: examine the way to the database, and explain errors."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from onetrip.cli._app import app

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from onetrip.doctor import Finding, Report

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


@app.command()
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object for a machine to read.")] = False,
    url: Annotated[
        str | None,
        typer.Option(help="Examine this URL instead of DATABASE_URL. Trap: other users of this machine see it."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes of one replica.")] = None,
    replicas: Annotated[int | None, typer.Option(min=1, help="Machines or containers that run them.")] = None,
    explain: Annotated[
        str | None, typer.Option(help="Explain this error text; - reads it from standard input.")
    ] = None,
) -> None:
    """Find out what is wrong between here and the database, and which line to change; exit with 1 if something is.

    It connects, so it wakes a database that sleeps; it changes nothing, and ends in under ten seconds.
    """
    if explain is not None:
        raise typer.Exit(_explain(sys.stdin.read() if explain == "-" else explain, as_json=as_json))
    from onetrip.doctor import examine

    report = examine(url, workers=workers, replicas=replicas)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, default=str))
    else:
        _print(report)
    raise typer.Exit(1 if report.wrong else 0)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.text import Text

    from onetrip.doctor.findings import shown

    console = Console(highlight=False)
    console.print(Text(shown(report.target)), overflow="fold")
    console.print()
    console.print(_route(report))
    console.print()
    console.print(_findings(report.findings))
    console.print()
    wrong = sum(finding.level == "wrong" for finding in report.findings)
    console.print(Text(f"{f'{wrong} wrong' if wrong else 'nothing is wrong'}, examined in {report.seconds:.1f} s"))


def _route(report: Report) -> Table:
    from rich.text import Text

    from onetrip.doctor.findings import shown

    table = _table()
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for step in report.steps:
        time = "" if step.seconds is None else _seconds(step.seconds)
        said = step.said if step.outcome == "ok" else f"{step.outcome.value}: {step.said}".removesuffix(": ")
        style = {"failed": "bold red", "ok": ""}.get(step.outcome.value, "dim")
        table.add_row(Text(step.name), Text(time), Text(shown(said), style=style))
    return table


def _findings(findings: tuple[Finding, ...]) -> Table:
    from rich.text import Text

    from onetrip.doctor.findings import shown

    table = _table()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.level.value]
        # As Text: what a server wrote may hold [brackets], which rich would read as markup.
        said = Text(shown(finding.what))
        said.append(f" [{finding.code}]", style="dim")
        if finding.why and finding.level != "ok":
            said.append(f"\n{shown(finding.why)}", style="dim")
        if finding.fix and finding.level != "ok":
            said.append(f"\n→ {shown(finding.fix)}", style="bold")
        table.add_row(Text(mark, style=style), said)
    return table


def _table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, show_header=False)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _explain(text: str, *, as_json: bool) -> int:
    from rich.console import Console

    from onetrip.doctor import explain

    found = explain(text)
    if as_json:
        print(json.dumps({"known": found is not None} | (asdict(found) if found else {}), indent=2))
    elif found is None:
        print("This text is not known. Paste the whole error, its last line and its class included.", file=sys.stderr)
    else:
        _print_explained(Console(highlight=False), asdict(found))
    return 0 if found else 1


def _print_explained(console: Console, found: dict[str, str]) -> None:
    from rich.text import Text

    table = _table()
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    again = {
        "no": "no: it happens again until something is changed",
        "yes": "yes: repeat the whole transaction",
        "later": "yes, after a pause",
        "unknown": "look first whether it happened",
    }[found["retry"]]
    rows = {"code": found["code"], "what": found["what"], "why": found["why"], "next": found["step"], "retry": again}
    for name, said in rows.items():
        table.add_row(Text(name), Text(said))
    console.print(table)
