"""What an attacker writes where a value, a name or a role is asked for, and a database that notices."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import text

from tests.contract.face import Face
from tests.harness.postgres import Postgres

PAYLOADS = (
    "",
    " ",
    "'",
    "''",
    "\\",
    "\\'",
    "'; DROP TABLE canary; --",
    "\\'; DROP TABLE canary; --",
    "\\', true); DROP TABLE canary; --",
    "', 'utf8'), true); DROP TABLE canary; --",
    "') ; DROP ROLE canary_role; /*",
    "$$; DROP TABLE canary; $$",
    "$a$ /* -- */ $a$",
    "%s %(v0)s %% % %n",
    ":v0 :n0 ::text \\:v0 {0} {value}",
    "$1 $2 $0",
    "null",
    "DEFAULT",
    "a\r\nb\tc\bd\x1ae\x7f",
    "¥' ; DROP TABLE canary; -- ‾",  # SJIS has a backslash where Unicode has a yen sign
    "表' ソ' 能\\' 十",  # the second byte of each is a backslash in SJIS or BIG5
    "誠' 縗' 蟆\\'",  # and in GBK
    "é\u0301 ß İ ı ſ K Å \u2028 \ufeff \U0010ffff 😀",
    "\\x27 \\047 \\u0027 \\U00000027 U&'\\0027'",
    "0" * 100_000 + "'",
    "\\'é" * 30_000,
)
fragments = st.sampled_from([*"'\"\\$%:;-/*()é¥表ソ\n", "--", "/*", "*/", "$$", "E'", "x'", "\\'", "DROP TABLE canary"])
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
values = st.one_of(st.text(characters), st.lists(fragments, max_size=12).map("".join), st.sampled_from(PAYLOADS))
"""Text that PostgreSQL can store, and that must arrive as it is."""
impossible = st.builds(
    lambda before, wrong, after: before + wrong + after, st.text(characters), st.sampled_from("\0\ud800\udfff"), values
)
"""Text that PostgreSQL cannot store."""

ODD_ROLES = (
    'odd "quoted" role',
    "it's; DROP TABLE canary; --",
    "UPPER Case",
    "back\\slash'",
    "percent %s %(x)s :name $1",
    "Größe 漢字 😀",
    "sixty-three bytes " + "x" * 45,
)
NAMES = ("app.user", "app.tenant")
PRESET = "app.preset"  # has a value of its own in the database

_SEEN = ", ".join(f"encode(convert_to(current_setting('{name}', true), 'UTF8'), 'hex')" for name in (*NAMES, PRESET))
# Seen by the server and told in ASCII: what a client's encoding would change on the way back is not hidden.
IDENTITY = text(
    f"SELECT current_user::text, to_regclass('public.canary') IS NOT NULL,"
    f" EXISTS (SELECT FROM pg_roles WHERE rolname = 'canary_role'), {_SEEN}"
)


@dataclass(frozen=True)
class Seen:
    """As whom a statement ran, and with which settings; None is absent."""

    user: str
    settings: dict[str, str | None]


def seen(row: Any) -> Seen:
    """Read a row of IDENTITY; what the attack was after must still be there."""
    user, table, role, *found = row
    assert table, "the canary is gone: a value became SQL"
    assert role, "the canary's role is gone: a value became SQL"
    decoded = [None if value is None else bytes.fromhex(value).decode() for value in found]
    return Seen(user, dict(zip((*NAMES, PRESET), decoded, strict=True)))


async def assert_at_rest(db: Face) -> None:
    """Whoever comes next is the login role, without anything of those before."""
    now = seen(await db.fetch_one(IDENTITY))
    assert now.user == "app"
    assert now.settings[PRESET] == "before"
    assert {now.settings[name] for name in NAMES} <= {None, ""}


@contextmanager
def target(postgres: Postgres, name: str, encoding: str, settings: dict[str, str]) -> Iterator[str]:
    """Lend a database with a canary, in an encoding and with settings of its own."""
    create = "CREATE DATABASE {} OWNER app TEMPLATE template0 ENCODING {} LOCALE 'C' STRATEGY file_copy"
    try:
        with postgres.connect() as admin:
            admin.execute(sql.SQL(create).format(sql.Identifier(name), sql.Literal(encoding)))
            for setting, value in ({PRESET: "before"} | settings).items():
                alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
                admin.execute(
                    alter.format(sql.Identifier(name), sql.Identifier(*setting.split(".")), sql.Literal(value))
                )
        with postgres.connect(name) as admin:
            admin.execute("CREATE TABLE public.canary (); ALTER TABLE public.canary OWNER TO app")
        yield name
    finally:
        postgres.drop_database(name)


@contextmanager
def roles(postgres: Postgres) -> Iterator[None]:
    """Lend the odd roles, and a canary that the application's role may drop."""
    names = ("canary_role", *ODD_ROLES)
    create, drop = sql.SQL("CREATE ROLE {0}; GRANT {0} TO app WITH ADMIN OPTION"), sql.SQL("DROP ROLE IF EXISTS {}")
    with postgres.connect() as admin:
        try:
            for name in names:
                admin.execute(create.format(sql.Identifier(name)))
            yield
        finally:
            for name in names:
                admin.execute(drop.format(sql.Identifier(name)))
