"""The guide's projects work as printed."""

import re
from pathlib import Path

import pytest

from tests.harness.snippets import snippets

from .conftest import Project

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [("--ignore=seeded", "7 passed"), pytest.param("seeded", "1 passed", marks=pytest.mark.slow)],
    ids=["a shop", "a shop with rows of its own"],
)
def test_the_projects_of_the_guide_pass(project: Project, arguments: str, outcome: str) -> None:
    """Every block that names its file is written to that file, and both projects pass."""
    for snippet in snippets(GUIDE):
        if name := re.match(r"# (\S+\.py)\n", snippet.code):
            path = project.folder / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(snippet.code)
    code, said = project.pytest(arguments)
    assert outcome in said, said
    assert code == 0
