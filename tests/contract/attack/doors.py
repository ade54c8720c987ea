"""The ways to a server that an attack goes through, and how long it tries."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.contract.face import MODES


@dataclass(frozen=True)
class Door:
    """One way to a server."""

    name: str
    encoding: str = "UTF8"
    settings: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    pooler: str | None = None
    """The fixture of the pooler in between."""

    def __str__(self) -> str:
        return self.name


OFF = {"standard_conforming_strings": "off", "backslash_quote": "on", "escape_string_warning": "off"}
DIRECT = Door("direct")
POOLED = Door("pooled", settings=OFF, pooler="narrow")
POOLED_RECENT = Door("pooled-recent", settings=OFF, pooler="narrow_recent")
OFF_SJIS = Door("strings-off-sjis-by-database", settings=OFF | {"client_encoding": "SJIS"})
EUC_JP = Door("server-in-euc_jp", "EUC_JP", OFF)
SJIS = Door("sjis-by-url", settings=OFF, query={"client_encoding": "SJIS"})
EVERY_RUN = (DIRECT, OFF_SJIS, POOLED, EUC_JP, SJIS)
CAMPAIGN = (
    *EVERY_RUN,
    POOLED_RECENT,
    Door("server-in-sql_ascii", "SQL_ASCII", OFF),
    Door("server-in-latin1", "LATIN1"),
    *(Door(f"{name}-by-url", settings=OFF, query={"client_encoding": name}) for name in ("LATIN1", "WIN1252", "BIG5")),
    *(Door(f"{name}-by-url", query={"client_encoding": name}) for name in ("GBK", "UHC", "EUC_JP")),
)


def through(*doors: Door) -> Any:
    """Run in each mode through each door that its driver can take; asyncpg speaks UTF-8 and nothing else."""
    pairs = [(mode, door) for mode in MODES for door in doors if mode.driver != "asyncpg" or not door.query]
    return pytest.mark.parametrize(("mode", "door"), pairs, ids=str)


def attacks(count: int) -> Any:
    """Try so many examples; what fails is printed with the line that repeats it."""
    return settings(
        max_examples=count,
        deadline=None,
        print_blob=True,
        # One connection for all examples of a test is the point: what one leaves behind, the next one meets.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=set(Phase) - {Phase.explain},
    )
