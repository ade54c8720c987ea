"""The documentation is true: its programs run, its commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from onetrip._core.names import FIELD_NAMES, URL_FILE
from onetrip.cli import app
from tests.harness.snippets import snippets

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INDEX = ROOT / "docs" / "README.md"
FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.M | re.S)
VARIABLE = re.compile(r"\b(?:[A-Z]+_)*DATABASE_[A-Z_]+\b|\bAPP_ENV\b")
TARGET = re.compile(r"^([a-z][a-z-]*):(?:.*?## (.*))?", re.M)


def page_id(page: Path) -> str:
    """Name a page in the report."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_python_blocks_compile(page: Path) -> None:
    """Every ```python block is Python."""
    for snippet in snippets(page):
        snippet.compiled()


@pytest.mark.parametrize("page", [page for page in PAGES if any(s.runs for s in snippets(page))], ids=page_id)
def test_python_blocks_run(page: Path, database_url: str, tmp_path: Path) -> None:
    """A page's blocks run in order as one program on an empty database, unless a block says why not."""
    environment = os.environ | {"DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "tests.harness.snippets", page]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_make_target_is_explained() -> None:
    """`make help` and CONTRIBUTING.md know every target."""
    targets = dict(TARGET.findall((ROOT / "Makefile").read_text()))
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert {"demo", "test", "test-all", "lint", "clean"} <= targets.keys()
    assert [name for name, explanation in targets.items() if not explanation] == []
    assert [name for name in targets if f"make {name}" not in contributing] == []


def commands(page: Path) -> list[str]:
    """Find what a page says to type that begins with `onetrip`, in shell blocks and between `backticks`."""
    text = page.read_text()
    shell = "".join(code for language, code in FENCE.findall(text) if language in {"sh", "console", ""})
    typed = [line.partition("#")[0].strip().removeprefix("$ ") for line in shell.splitlines()]
    typed += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [command for command in typed if command.startswith("onetrip ")]


def unknown_part(command: str) -> str | None:
    """Return the first word of a command that the command line does not know."""
    here = get_command(app)
    for word in command.split()[1:]:
        if isinstance(here, TyperGroup):
            if word.strip("…") and word not in here.commands:
                return word
            here = here.commands.get(word, here)
        elif word.startswith("--") and not any(word in option.opts for option in here.params):
            return word
    return None


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=page_id)
def test_commands_exist(page: Path) -> None:
    """Every `onetrip …` on a page is a command, with its options."""
    assert {command: unknown for command in commands(page) if (unknown := unknown_part(command))} == {}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_variables_exist(page: Path) -> None:
    """Every variable of ours that a page names is one that the settings read."""
    known = {URL_FILE, *(name for names in FIELD_NAMES.values() for name in names)}
    assert set(VARIABLE.findall(page.read_text())) - known == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "errors"], ids=page_id)
def test_every_page_can_be_found(page: Path) -> None:
    """The index of the documentation leads to every page."""
    linked = {(INDEX.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", INDEX.read_text())}
    assert page in {*linked, INDEX, ROOT / "README.md"}


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / "examples").rglob("*.md"), ROOT / "CONTRIBUTING.md"], ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (page.parent / target).exists()] == []
