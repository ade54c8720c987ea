"""Whoever writes a log record or a traceback, the password in it is masked."""

import configparser
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
from alembic.config import Config
from sqlalchemy import create_engine

from onetrip.redaction import install_redaction
from onetrip.settings import Settings

PASSWORD = "p%40ss%2Fw%25rd"
RAW = "p@ss/w%rd"
URL = f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop"


class Kept(logging.Handler):
    """Format every record as an ordinary handler does, and keep the text."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.fixture
def log() -> Iterator[Kept]:
    """Return what any logger printed, and check at the end that something was masked and nothing shown."""
    Settings(database_url=URL)
    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    everything = "\n".join(handler.texts)
    assert "***" in everything
    assert RAW not in everything
    assert PASSWORD not in everything


logger = logging.getLogger("a.library.of.others")


def test_the_environment_may_be_dumped(log: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """ADR-003: credentials stay safe even when the whole environment is logged."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("PGPASSWORD", RAW)
    monkeypatch.setenv("SOME_SECRET", RAW)
    logger.warning("environment: %s", os.environ)
    logger.warning(f"environment: {dict(os.environ)}")  # noqa: G004
    for name, value in os.environ.items():
        logger.warning("%s=%s", name, value)


def test_our_objects_may_be_dumped(log: Kept) -> None:
    """Settings, its parts and the URL rendered in clear can be logged."""
    settings = Settings(database_url=URL)
    assert settings.url is not None
    logger.warning("%r %s %s %s", settings, vars(settings), settings.url, settings.explain())
    logger.warning(settings.url.render())
    logger.warning("%(url)s", {"url": settings.url.render()})


def test_a_traceback_is_masked(log: Kept) -> None:
    """An exception that carries the URL is printed without its password, chain included."""
    try:
        try:
            raise ValueError(f"cannot read {URL}")
        except ValueError as error:
            raise RuntimeError(f"password {RAW!r} refused") from error
    except RuntimeError:
        logger.exception("failed", stack_info=True)
    assert "Traceback" in log.texts[0]
    assert "ValueError: cannot read postgresql://app:***@127.0.0.1:1/shop" in log.texts[0]


def test_alembics_error_is_masked(log: Kept) -> None:
    """ConfigParser repeats a URL with a percent sign in its error; the log does not."""
    config = Config()
    try:
        config.set_main_option("sqlalchemy.url", URL)
    except ValueError:
        logger.exception("alembic")
    parser = configparser.ConfigParser()
    parser.read_string(f"[alembic]\nsqlalchemy.url = {URL}")
    try:
        parser.get("alembic", "sqlalchemy.url")
    except configparser.InterpolationError as error:
        logger.warning("alembic: %s", error)
    assert len(log.texts) == 2


@pytest.mark.parametrize("text", [URL + "?nonsense=1", f"host=127.0.0.1 port=1 password='{RAW}' nonsense=1"])
def test_psycopgs_error_is_masked(log: Kept, text: str) -> None:
    """The driver's own message and the lines of the traceback hold no password."""
    try:
        psycopg.connect(text)
    except psycopg.Error:
        logger.exception("connecting to %s", text)


async def test_asyncpgs_error_is_masked(log: Kept) -> None:
    """A refused connection is logged with the URL, without the password."""
    try:
        await asyncpg.connect(URL, timeout=1)
    except OSError:
        logger.exception("connecting to %s", URL)


def test_sqlalchemys_error_is_masked(log: Kept) -> None:
    """An engine that cannot connect is logged with its arguments, without the password."""
    arguments = {"password": RAW, "host": "127.0.0.1", "port": 1}
    try:
        create_engine("postgresql+psycopg://", connect_args=arguments).connect()
    except Exception:  # whatever it is, it is logged
        logger.exception("connecting with %s", arguments)


def test_a_broken_log_call_does_not_print_its_arguments(log: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    """Python reports a format that does not fit its arguments together with the arguments."""
    logger.warning("%d", URL)
    assert RAW not in capsys.readouterr().err


def test_a_record_without_a_secret_is_not_touched() -> None:
    """Message and arguments stay apart, for handlers that group by message."""
    Settings(database_url=URL)
    record = logging.getLogRecordFactory()("n", logging.INFO, "f", 1, "%s of %d", ("one", 2), None)
    assert (record.msg, record.args) == ("%s of %d", ("one", 2))


def test_an_earlier_record_factory_is_kept() -> None:
    """A factory that the application installed goes on adding its attributes."""

    class Traced(logging.LogRecord):
        trace = "t-1"

    logging.setLogRecordFactory(Traced)
    install_redaction()
    install_redaction()
    assert logging.getLogRecordFactory()("n", logging.INFO, "f", 1, URL, (), None).trace == "t-1"
    assert logging.getLogRecordFactory()._inner is Traced  # type: ignore[attr-defined]


def test_installing_twice_wraps_once() -> None:
    """Every Settings object asks for it; the second asks in vain."""
    install_redaction()
    installed = (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook)
    install_redaction()
    assert (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook) == installed


PROGRAM = """
import sys, threading
from onetrip.settings import Settings
seen = []
sys.excepthook = lambda *e: print("theirs", file=sys.stderr)
Settings(database_url={url!r})
def fail(text):
    raise RuntimeError(text)
thread = threading.Thread(target=fail, args=("in a thread " + {url!r},))
thread.start(); thread.join()
fail({text!r})
"""


@pytest.mark.parametrize(("text", "printed"), [(f"with {RAW}", "RuntimeError: with ***"), ("without", "theirs")])
def test_an_uncaught_exception_is_masked(text: str, printed: str) -> None:
    """What kills a process or a thread is printed masked; without a secret, the hook before ours decides."""
    program = PROGRAM.format(url=URL, text=text)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert printed in ended.stderr
    assert "in a thread postgresql://app:***@127.0.0.1:1/shop" in ended.stderr
    assert RAW not in ended.stderr
    assert PASSWORD not in ended.stderr
