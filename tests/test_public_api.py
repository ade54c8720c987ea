"""What `import onetrip` gives, and what it costs."""

import subprocess
import sys

import onetrip

DEAR = {"fastapi", "starlette", "alembic", "typer", "rich", "sqlmodel"}


def test_all_is_sorted_and_true() -> None:
    """Every name in __all__ exists, once, in order; every other public name is a module."""
    assert onetrip.__all__ == sorted(set(onetrip.__all__))
    assert [name for name in onetrip.__all__ if not hasattr(onetrip, name)] == []


def test_a_cold_start_pays_for_the_database_alone() -> None:
    """A fresh interpreter that imports onetrip has loaded no web framework, no migrations, no terminal toolkit."""
    program = f"import sys, onetrip; print(*sorted({DEAR} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
