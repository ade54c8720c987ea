"""Every question of the bench runs to its end and keeps what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import DRIVERS
from bench.rounds import Goal, interleaved, ratio

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("question", DRIVERS)
def test_a_quick_look(question: str) -> None:
    """``--quick`` asks the whole question, briefly, and writes what the full run writes."""
    kept = ROOT / "bench/results/quick" / f"{question}.json"
    kept.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench", question, "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(kept.read_text())
    assert found["machine"]["versions"]["psycopg"] != "none"
    assert all(str(goal["wanted"]) in done.stdout for goal in found["goals"])


def test_turns_begin_with_another_one_each_round() -> None:
    """Nobody always goes first, and everybody has every round."""
    order: list[str] = []
    found = interleaved({name: lambda name=name: order.append(name) or len(order) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert found["a"] == [1, 6, 8]


def test_goals_compare_neighbours() -> None:
    """A slow round that hit both does not count; met is said in words."""
    assert ratio([20.0, 2.0, 200.0], [10.0, 1.0, 100.0]) == 2
    assert str(Goal("a / b", 1.15, 1.1)).startswith("met ")
    assert str(Goal("a / b", 1.15, 1.1, at_most=True)).startswith("NOT MET")
