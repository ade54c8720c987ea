"""An environment, a folder and log machinery of their own for every test of settings."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onetrip._core import secrets, tiers
from onetrip._core.names import OURS


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Take away what the machine sets, and put back what settings install in the process."""
    for name in {*os.environ} & {*OURS, *tiers._PLATFORMS, "DIRECT_URL", "POSTGRES_URL_NON_POOLING", "PGPASSWORD"}:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    factory, hooks = logging.getLogRecordFactory(), (sys.excepthook, threading.excepthook)
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hooks
    secrets._secrets.clear()
