"""``onetrip settings``: what every setting is, where it came from, and what was adjusted."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from onetrip.cli._app import app

if TYPE_CHECKING:
    from onetrip._explanation import Explanation


@app.command()
def settings(
    json_output: Annotated[bool, typer.Option("--json", help="Print a list of objects for a machine to read.")] = False,  # noqa: FBT002  Typer's way to say a flag
) -> None:
    """Print each setting, its source, and what was adjusted and why; secrets are masked, nothing is connected."""
    from onetrip.settings import Settings

    rows = Settings().explain()
    if json_output:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        _print_table(rows)


def _print_table(rows: list["Explanation"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True, min_width=max(len(row.name) for row in rows))
    table.add_column("value", overflow="fold")  # a URL is never cut off
    table.add_column("source")
    for row in rows:
        # As Text: a value may hold [brackets], which rich would read as markup.
        table.add_row(*(Text(cell) for cell in (row.name, row.value, row.source)))
    console = Console()
    console.print(table)
    for row in rows:
        if row.adjusted:
            console.print(Text(f"{row.name}: {row.adjusted}"))
