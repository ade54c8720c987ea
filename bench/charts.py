"""Pictures of what was measured over drivers: one look a question."""

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from bench.plots import mpl, save
from bench.work import OURS, PING, STOCK

COLOURS = {STOCK: "#9db8c7", PING: "#d0d7db", OURS: "#c2571a", "onetrip fetch_one": "#e08a52", "by hand": "#5f6f77"}
OTHERS = "#14507a"


def draw(question: str, found: dict[str, Any], folder: Path) -> None:
    """Write the question's picture as SVG."""
    mpl.rcParams.update(
        {"svg.hashsalt": "onetrip", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    )
    save(DRAWN[question](found), folder / f"{question}.svg")


def trips(found: dict[str, Any]) -> plt.Figure:
    """Draw the trips of each unit, direct."""
    cells = {unit: row for unit, row in found["ways"]["direct"].items() if "tenant" not in unit}
    drivers = list(next(iter(cells.values())))
    figure, panels = plt.subplots(1, len(drivers), figsize=(3 * len(drivers) + 2, 3.6), sharey=True, squeeze=False)
    for panel, driver in zip(panels[0], drivers, strict=True):
        _bars(panel, {unit.replace("`", ""): row[driver] for unit, row in cells.items()}, (PING, STOCK, OURS))
        panel.set_title(driver, fontsize=10)
    return _finished(figure, panels[0][0], "Trips: how often a client waits")


def throughput(found: dict[str, Any]) -> plt.Figure:
    """Draw reads a second by everybody over each driver."""
    drivers = found["drivers"]
    figure, panels = plt.subplots(1, len(drivers), figsize=(3.2 * len(drivers) + 1.5, 3.2), squeeze=False)
    for panel, (driver, everybody) in zip(panels[0], drivers.items(), strict=True):
        rates = {name: figures["reads per second"] for name, figures in everybody.items()}
        panel.barh(list(rates)[::-1], list(rates.values())[::-1], color=[_colour(name) for name in list(rates)[::-1]])
        panel.set_title(driver, fontsize=10)
        panel.set_xlabel("reads a second")
    figure.suptitle("Reads where the network costs nothing", x=0.02, ha="left")
    figure.tight_layout()
    return figure


def latency(found: dict[str, Any]) -> plt.Figure:
    """Draw medians by distance."""
    drivers = found["drivers"]
    kinds = list(next(iter(drivers.values())))
    figure, panels = plt.subplots(len(kinds), len(drivers), figsize=(3 * len(drivers), 5.6), squeeze=False)
    for row, kind in zip(panels, kinds, strict=True):
        for panel, (driver, measured) in zip(row, drivers.items(), strict=True):
            for side in (PING, STOCK, OURS):
                points = {float(trip): medians[side] for trip, medians in measured[kind].items()}
                panel.plot(list(points), list(points.values()), "o-", color=_colour(side), label=side)
            panel.set_title(f"{driver}, {kind}", fontsize=10)
            panel.set_ylim(bottom=0)
            panel.grid(visible=True, axis="y", color="#eeeeee")
        row[0].set_ylabel("median, ms")
    for panel in panels[-1]:
        panel.set_xlabel("a trip takes, ms")
    return _finished(figure, panels[0][0], "A session that reads one row")


def coldstart(found: dict[str, Any]) -> plt.Figure:
    """Draw the time to the first row."""
    return _one(found, ("stock", "onetrip", "by hand"), "From the start of a process to its first row", "ms")


def memory(found: dict[str, Any]) -> plt.Figure:
    """Draw the size of an idle connection."""
    return _one(found, (STOCK, OURS), "Memory of an idle connection, client", "KiB")


def _one(found: dict[str, Any], names: tuple[str, ...], title: str, unit: str) -> plt.Figure:
    figure, panel = plt.subplots(figsize=(6.5, 3.4))
    _bars(panel, found["drivers"], names)
    panel.set_xlabel(unit)
    return _finished(figure, panel, title)


def _bars(panel: Any, rows: dict[str, dict[str, float]], names: tuple[str, ...]) -> None:
    height = 0.8 / len(names)
    labels = list(rows)[::-1]
    for number, name in enumerate(names[::-1]):
        places = [place + height * number for place in range(len(labels))]
        panel.barh(places, [rows[label][name] for label in labels], height, color=_colour(name), label=name)
    panel.set_yticks([place + 0.4 - height / 2 for place in range(len(labels))], labels)


def _finished(figure: plt.Figure, panel: Any, title: str) -> plt.Figure:
    figure.legend(*panel.get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.suptitle(title, x=0.02, ha="left")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return figure


def _colour(name: str) -> str:
    return COLOURS.get(name, OTHERS)


DRAWN = {"trips": trips, "throughput": throughput, "latency": latency, "coldstart": coldstart, "memory": memory}
