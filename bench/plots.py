"""Pictures of the results: how latency spreads, and what more clients bring."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = {"small": "#7aa6c2", "large": "#14507a", "large, 2 workers": "#c2571a"}
PERCENTILES = [*range(100), 99.5, 99.9, 100]
GOAL = 50.0


def draw(found: dict[str, Any], folder: Path) -> None:
    """Write both pictures as SVG."""
    mpl.rcParams.update(
        {"svg.hashsalt": "onetrip", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    )
    names = labels(found)
    save(latency(found, names), folder / "tasks-latency.svg")
    save(throughput(found, names), folder / "tasks-throughput.svg")


def labels(found: dict[str, Any]) -> dict[str, str]:
    """Return what to call each series."""
    rows = {name: f"{load['rows']:,} rows" for name, load in found["loads"].items()}
    return rows | {"large, 2 workers": f"{rows['large']}, 2 workers"}


def latency(found: dict[str, Any], names: dict[str, str]) -> plt.Figure:
    """Draw a percentile curve for each operation; the axis stretches towards the tail."""
    figure, panels = plt.subplots(1, len(found["mix"]), figsize=(12, 3.6), sharey=True)
    for panel, kind in zip(panels, found["mix"], strict=True):
        for name in ("small", "large"):
            points = found["open"][name]["kinds"][kind]["quantiles"][:-1]
            panel.plot([1 / (1 - p / 100) for p in PERCENTILES[:-1]], points, color=COLOURS[name], label=names[name])
        _latency_axes(panel, kind)
    panels[0].set_ylabel("latency from arrival, ms")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.suptitle("Open loop, 200 requests/s: latency by percentile", x=0.06, ha="left")
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return figure


def _latency_axes(panel: Axes, kind: str) -> None:
    panel.axhline(GOAL, color="#999999", linewidth=0.8, linestyle="--", label="goal for p99")
    panel.set_title(kind, fontsize=10)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_yticks([2, 5, 10, 20, 50, 100, 200, 500], ["2", "5", "10", "20", "50", "100", "200", "500"])
    panel.set_xticks([2, 10, 100, 1000], ["50 %", "90 %", "99 %", "99.9 %"])
    panel.minorticks_off()
    panel.grid(visible=True, axis="y", color="#eeeeee")


def throughput(found: dict[str, Any], names: dict[str, str]) -> plt.Figure:
    """Draw requests a second by clients that wait for their answers."""
    figure, panel = plt.subplots(figsize=(6.5, 3.8))
    most = 1
    for name, steps in found["saturated"].items():
        clients = [step["clients"] for step in steps]
        most = max(most, *clients)
        panel.plot(clients, [step["per second"] for step in steps], "o-", color=COLOURS[name], label=names[name])
    ticks = [2**power for power in range(most.bit_length())]
    panel.set_xscale("log", base=2)
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.set_ylim(bottom=0)
    panel.set_xlabel("clients, each waiting for its answer")
    panel.set_ylabel("requests per second")
    panel.set_title("Closed loop: throughput", loc="left", fontsize=12)
    panel.grid(visible=True, axis="y", color="#eeeeee")
    panel.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    return figure


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure without the moment it was made, so that only changes change it."""
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
