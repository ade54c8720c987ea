"""The guide's projects work as printed."""

import re
from pathlib import Path

from tests.harness.snippets import snippets

from .conftest import Project

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"


def test_the_projects_of_the_guide_pass(project: Project) -> None:
    """Every block that names its file is written to that file, and both projects pass."""
    for snippet in snippets(GUIDE):
        if name := re.match(r"# (\S+\.py)\n", snippet.code):
            path = project.folder / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(snippet.code)
    for arguments, outcome in (("--ignore=seeded", "5 passed"), ("seeded", "1 passed")):
        code, said = project.pytest(arguments)
        assert outcome in said, said
        assert code == 0
