"""The documentation is true: its programs run, its commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.snippets import snippets

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
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


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (page.parent / target).exists()] == []
