"""Tell a person, once, what the embedded server did."""

import logging
import sys

_log = logging.getLogger("onetrip.local")


def say(message: str) -> None:
    """Send one line to the log where logging shows it, else to stderr: no database starts by itself in silence."""
    if _log.hasHandlers() and _log.isEnabledFor(logging.INFO):
        _log.info(message)
    else:
        sys.stderr.write(f"onetrip: {message}\n")
