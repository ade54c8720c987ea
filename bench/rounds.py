"""Contenders take turns, and medians decide: a noisy moment hits all of them, and goals are ratios of neighbours."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

T = TypeVar("T")


def interleaved(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Let each contender have its turn in every round; who begins changes with the round."""
    names = list(contenders)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(contenders[name]())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: what was measured side by side is compared."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


@dataclass(frozen=True)
class Goal:
    """A ratio that was promised, and what it came to."""

    what: str
    found: float
    wanted: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Say whether the promise is kept."""
        return self.found <= self.wanted if self.at_most else self.found >= self.wanted

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{'met    ' if self.met else 'NOT MET'} {self.what}: {self.found:.2f}, {sign} {self.wanted:g} wanted"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"met": self.met}
