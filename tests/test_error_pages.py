"""Every error has a page, and what the page says about its class is true."""

import re

import psycopg
import pytest

from onetrip.errors import DatabaseError
from tools.error_pages import FOLDER, INDEX, SECTIONS, Page, index, meaning, pages

LINES = 60
OURS = re.compile(r"(?P<what>.+?) \[(?P<code>[a-z-]+)\](\n  → (?P<hint>.+))?\n", re.S)


def test_every_error_has_a_page() -> None:
    """No class is without a page, no page without a class."""
    expected = {page.path.name for page in pages()} | {INDEX.name}
    assert {path.name for path in FOLDER.iterdir()} == expected


def test_the_index_is_up_to_date() -> None:
    """The index is what `python tools/error_pages.py` writes."""
    assert INDEX.read_text(encoding="utf-8") == index()


def test_queries_run(database_url: str) -> None:
    """Every query that a page tells to run is one that PostgreSQL takes, as a role without special rights."""
    code = re.findall(r"`((?:SELECT|SHOW) [^`…<]+)`", "".join(page.text for page in pages()))
    assert len(code) > 10
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE account (id serial); CREATE TABLE alembic_version (version_num text)")
        for query in code:
            with connection.transaction(force_rollback=True):
                connection.execute(query)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.kind.code)
class TestPage:
    """What holds for each page."""

    def test_facts(self, page: Page) -> None:
        """Title, class, parents, phase, retry verdict and HTTP status are those of the class."""
        assert page.text.startswith(f"# {page.kind.code}\n\n{page.summary[:20]}")
        assert page.facts() in page.text

    def test_it_is_short_and_complete(self, page: Page) -> None:
        """It says why, what to do, and what onetrip does, on one screen."""
        assert page.sections == SECTIONS
        assert len(page.text.splitlines()) <= LINES

    def test_our_message(self, page: Page) -> None:
        """The messages on the page look as the class prints them, with its code and its hint."""
        for block in page.blocks("text"):
            shown = OURS.fullmatch(block)
            assert shown is not None, block
            assert shown["code"] == page.kind.code
            assert str(page.kind(shown["what"], hint=None if page.kind.hint else shown["hint"])) + "\n" == block

    def test_what_others_say(self, page: Page) -> None:
        """Each text of a server, pooler or driver on the page is taken for this error."""
        said = page.sayings()
        assert not said or issubclass(page.kind, DatabaseError)
        assert {one.text: meaning(page, one).code for one in said} == {one.text: page.kind.code for one in said}
