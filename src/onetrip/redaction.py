"""Masked logs and tracebacks for the whole process, whoever writes them (ADR-003)."""

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from onetrip._core.secrets import redact

_formatter = logging.Formatter()


def install_redaction() -> None:
    """Mask remembered secrets in every log record and every uncaught traceback from now on; twice is harmless."""
    install_log_redaction()
    install_traceback_redaction()


def install_log_redaction() -> None:
    """Wrap the log record factory, so that a record is masked before any handler sees it.

    What a call puts into ``extra=`` is added to the record later and passes unmasked.
    """
    factory = logging.getLogRecordFactory()
    if isinstance(factory, _RedactingFactory):
        return
    logging.setLogRecordFactory(_RedactingFactory(factory))


def install_traceback_redaction() -> None:
    """Wrap ``sys.excepthook`` and ``threading.excepthook``; a traceback without a secret goes on unchanged."""
    if not isinstance(sys.excepthook, _RedactingHook):
        sys.excepthook = _RedactingHook(sys.excepthook)
    if not isinstance(threading.excepthook, _RedactingThreadHook):
        threading.excepthook = _RedactingThreadHook(threading.excepthook)


class _RedactingFactory:
    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._inner(*args, **kwargs)
        _redact_message(record)
        if record.exc_info and record.exc_info[0] is not None:
            shown = _formatter.formatException(record.exc_info)
            if (masked := redact(shown)) != shown:
                # The exception itself goes: a handler that formats it anew would print the secret.
                record.exc_text, record.exc_info = masked, None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record


def _redact_message(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001  arguments run foreign code; logging reports it, with the arguments in clear
        message = f"{record.msg!r} {record.args!r}"
        if (masked := redact(message)) != message:
            record.msg, record.args = masked, ()
        return
    if (masked := redact(message)) != message:
        record.msg, record.args = masked, ()


class _RedactingHook:
    def __init__(self, inner: Callable[..., Any]) -> None:
        self._inner = inner

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if (masked := _masked(kind, error, trace)) is None:
            self._inner(kind, error, trace)
        elif sys.stderr is not None:
            sys.stderr.write(masked)


class _RedactingThreadHook:
    def __init__(self, inner: Callable[..., Any]) -> None:
        self._inner = inner

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        error = args.exc_value
        if error is None or (masked := _masked(args.exc_type, error, args.exc_traceback)) is None:
            self._inner(args)
        elif sys.stderr is not None and args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "unknown"
            sys.stderr.write(f"Exception in thread {name}:\n{masked}")


def _masked(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str | None:
    """Return the traceback masked, or None where there is nothing to mask."""
    shown = "".join(traceback.format_exception(kind, error, trace))
    masked = redact(shown)
    return masked if masked != shown else None
