"""docs/settings.md is what the settings say of themselves."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    """Whoever changes a setting runs python tools/settings_page.py."""
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(ROOT / "tools" / "settings_page.py"))["page"]()
