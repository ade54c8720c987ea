"""The page about doctor is complete."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_code_is_on_the_page() -> None:
    """What a machine may meet as a code is listed, there or among the errors."""
    sources = "".join(file.read_text() for file in (ROOT / "src/onetrip/doctor").glob("*.py"))
    codes = set(re.findall(r'(?:Finding|_stop)\(\s*"([a-z-]+)"', sources))
    assert len(codes) > 30
    page = (ROOT / "docs" / "doctor.md").read_text()
    errors = {file.stem for file in (ROOT / "docs" / "errors").glob("*.md")}
    assert {code for code in codes if f"`{code}`" not in page} <= errors
