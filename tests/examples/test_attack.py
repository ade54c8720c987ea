"""Nobody gets at another's tasks, however they try."""

import os
import secrets

import pytest

from tests.harness.postgres import Postgres

from .attack import USERS
from .attack_direct import DirectAttacks
from .attack_http import HttpAttacks
from .conftest import serving


class Attack(HttpAttacks, DirectAttacks):
    """Everything at once."""


async def campaign(url: str, database: str, postgres: Postgres, driver: str, count: int) -> Attack:
    """Attack ``count`` times; ATTACK_SEED repeats a campaign."""
    seed = int(os.environ.get("ATTACK_SEED") or secrets.randbits(32))
    print(f"ATTACK_SEED={seed}, {count} attacks over {driver}")
    async with serving(url, driver=driver, pool_min=0, pool_max=5) as api:
        attack = Attack(api, postgres, database, seed)
        await attack.run(count)
    print(", ".join(f"{name} {times}" for name, times in sorted(attack.tried.items())))
    return attack


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_no_attack_reads_or_changes_a_foreign_row(
    driver: str, tasks_url: str, tasks_database: str, postgres: Postgres
) -> None:
    """A thousand attacks by 50 users, ATTACKS for more: 0 foreign rows read, 0 changed."""
    count = int(os.environ.get("ATTACKS", "1000"))
    attack = await campaign(tasks_url, tasks_database, postgres, driver, count)
    assert attack.foreign == []
    assert attack.own > len(USERS), "the attackers could not even read their own tasks: this proves nothing"


@pytest.mark.slow
async def test_ten_thousand_attacks_read_and_change_nothing(
    tasks_url: str, tasks_database: str, postgres: Postgres
) -> None:
    """The same, ten thousand times, on few connections that everybody shares."""
    attack = await campaign(tasks_url, tasks_database, postgres, "psycopg", 10_000)
    assert attack.foreign == []
    assert attack.own > len(USERS)


async def test_the_attack_would_notice_a_hole_in_the_policy(
    tasks_url: str, tasks_database: str, postgres: Postgres
) -> None:
    """With the wall torn down the same campaign reports foreign rows: it can fail."""
    postgres.execute("CREATE POLICY hole ON tasks USING (true) WITH CHECK (true)", database=tasks_database)
    attack = await campaign(tasks_url, tasks_database, postgres, "psycopg", 300)
    assert len(attack.foreign) > 10
