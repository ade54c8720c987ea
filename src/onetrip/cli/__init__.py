"""The command ``onetrip``.

Exit codes: 0 fine, 1 found wrong, 2 misused. What fails ends in one line on stderr, never in a traceback.

A command is a file in this folder that puts itself on ``_app.app`` (``@app.command()`` or ``app.add_typer``) and is
named in the import below. It imports what is heavy inside its function, so that ``onetrip --help`` costs no database.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from onetrip.cli import bench as _bench  # noqa: F401 - each import adds its commands
from onetrip.cli import doctor as _doctor  # noqa: F401
from onetrip.cli import local as _local  # noqa: F401
from onetrip.cli import settings as _settings  # noqa: F401
from onetrip.cli import url as _url  # noqa: F401
from onetrip.cli._app import app
from onetrip.errors import ConfigurationError, OnetripError

__all__ = ["app", "main"]


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app(prog_name="onetrip")
    except OnetripError as error:
        print(f"onetrip: {error.line}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    sys.exit(0)
