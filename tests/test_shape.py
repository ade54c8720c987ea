"""The code stays small enough to read: one file is one idea, one function fits a screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "examples", "bench")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
FILE_LINES = 350  # aim at 300
FUNCTION_LINES = 50  # aim at 30

Documented = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


def docstring_lines(node: Documented) -> int:
    """Count the lines of a docstring: explaining costs nothing."""
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_idea(path: Path) -> None:
    """No file is longer than 350 lines, its opening docstring apart."""
    source = path.read_text()
    assert len(source.splitlines()) - docstring_lines(ast.parse(source)) <= FILE_LINES


@pytest.mark.parametrize("path", [path for path in FILES if (ROOT / "src") in path.parents], ids=lambda path: path.name)
def test_a_function_fits_a_screen(path: Path) -> None:
    """No function of the package is longer than 50 lines, its docstring apart."""
    functions = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 - docstring_lines(f) for f in functions}
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}
