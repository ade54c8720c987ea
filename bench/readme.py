"""The block of figures in the project's README: written from the kept results, so that no number is typed by hand."""

import json
from typing import Any

from bench.kept import RESULTS, table
from bench.work import OURS, PING, STOCK

README = RESULTS.parents[1] / "README.md"
BEGIN, END = "<!-- bench: written by make bench -->\n", "<!-- end of bench -->"
QUESTIONS = ("trips", "latency", "throughput", "coldstart", "memory")


def quote() -> None:
    """Replace the block by what was measured last."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"README.md has no block between {BEGIN.strip()} and {END}")
    found = {question: json.loads((RESULTS / f"{question}.json").read_text()) for question in QUESTIONS}
    README.write_text(f"{before}{BEGIN}{_table(found)}\n{END}{after}")
    print("written: the block in README.md")


def _table(found: dict[str, Any]) -> str:
    drivers = list(found["memory"]["drivers"])
    cells = next(iter(found["trips"]["ways"].values()))
    distant, rates = found["latency"]["drivers"], found["throughput"]["drivers"]
    rows = [
        [f"trips, {unit}", *(_three(cells[unit][driver]) for driver in drivers)]
        for unit in cells
        if "tenant" not in unit and "50" not in unit
    ]
    for kind in next(iter(distant.values())):
        rows.append(
            [f"a read at 5 ms a trip, {kind}, ms", *(_three(distant[one][kind]["5"], ".1f") for one in drivers)]
        )
    speed = "reads per second"
    rows.append(
        [
            "reads/s without delay",
            *(_three({side: rates[one][side][speed] for side in (STOCK, PING, OURS)}, ",.0f") for one in drivers),
        ]
    )
    rows.append(
        [
            "start to first row: by hand / stock / **onetrip**, ms",
            *(
                _three({who: found["coldstart"]["drivers"][one][who] for who in ("by hand", STOCK, OURS)}, ".0f")
                for one in drivers
            ),
        ]
    )
    rows.append(
        [
            "idle connection: stock / **onetrip**, KiB",
            *(_three(found["memory"]["drivers"][one], ".0f") for one in drivers),
        ]
    )
    return table(["stock / with pre_ping / **onetrip**", *drivers], rows)


def _three(figures: dict[str, float], how: str = "d") -> str:
    return " / ".join(f"**{figure:{how}}**" if who == OURS else f"{figure:{how}}" for who, figure in figures.items())
