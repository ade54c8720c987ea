"""What was seen of an endpoint, and what follows from it: the probe acts, this decides.

Told apart by what a pooler cannot hide. PgBouncer and its kin lend a server process for one transaction and hand out
the one that was used last; so a second client inside a transaction meets the process of a first one that is still
connected. No direct server does that. The number in the start-up exchange (BackendKeyData) proves nothing: Neon's
proxy and PgBouncer both make up their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onetrip._core.endpoint import Kind


class Option(StrEnum):
    """What became of ``options=-c name=value`` in the start-up message."""

    ARRIVED = "arrived"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold what one probe observed; None is "not observed"."""

    option: Option
    refusal: str | None = None
    """The words in which the option was refused."""
    first_process: int = 0
    shared: bool = False
    """A second client met the first one's server process while both were connected."""
    moved: bool = False
    """One client met several server processes; that shows where others are busy and take each other's."""
    reused: bool = False
    """A later client met the server process of one that had left."""
    prepared_error: str | None = None
    """What the server said to a named statement that another client, or the same one, had prepared."""
    leaked: bool = False
    """A setting made by one client was seen by another."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Say what an endpoint can do, and how that is known."""

    kind: Kind
    """Direct, transaction pooler or session pooler, as observed; never unknown."""
    options_arrive: bool
    named_statements_survive: bool
    session_state_leaks: bool
    proof: tuple[str, ...]
    """One sentence for each answer, in this order."""


def conclude(seen: Seen) -> Capabilities:
    """Draw the conclusions."""
    kind, why = _kind(seen)
    return Capabilities(
        kind=kind,
        options_arrive=seen.option is Option.ARRIVED,
        named_statements_survive=seen.prepared_error is None,
        session_state_leaks=seen.leaked,
        proof=(why, _option(seen), _prepared(seen), _leak(seen, kind)),
    )


def _kind(seen: Seen) -> tuple[Kind, str]:
    process = f"server process {seen.first_process}"
    if seen.shared:
        return Kind.TRANSACTION, f"a second client got {process} while the first was still connected"
    if seen.moved:
        return Kind.TRANSACTION, f"one client got {process}, and another one for its next transaction"
    if seen.reused:
        return Kind.SESSION, f"{process} outlived its client and was handed to the next one"
    if seen.option is Option.REFUSED:
        return (
            Kind.SESSION,
            f"each client had a server process of its own, but what answers refuses options: {seen.refusal}",
        )
    return Kind.DIRECT, "every client had a server process of its own, which ended with it"


def _option(seen: Seen) -> str:
    return {
        Option.ARRIVED: "a setting in the start-up options arrived at the server",
        Option.DROPPED: "a setting in the start-up options was dropped without a word",
        Option.REFUSED: f"a setting in the start-up options was refused: {seen.refusal}",
    }[seen.option]


def _prepared(seen: Seen) -> str:
    if seen.prepared_error is None:
        return "a named prepared statement could be used again"
    return f"a named prepared statement was lost: {seen.prepared_error}"


def _leak(seen: Seen, kind: Kind) -> str:
    if seen.leaked:
        return "a SET by one client was seen by the next one"
    if kind is Kind.DIRECT:
        return "what a session sets ends with it"
    return "a SET by one client was not seen by the next one"
