"""Where settings come from: arguments, then the environment, then ``.env``; and a record of which it was."""

import os
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from onetrip._core import tiers
from onetrip._core.complaints import in_one_line
from onetrip._core.found import Found
from onetrip._core.names import FIELD_NAMES, OURS, URL_FILE
from onetrip.errors import ConfigurationError

FOUND = "found"
"""The key under which the record travels through the validator, beside the values."""


def gather(given: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return what was given, what variables say of the rest, and the record of which it was; None is "not given"."""
    values = {name: value for name, value in given.items() if value is not None}
    found = Found(where=dict.fromkeys(values, "argument"))
    fields = tuple(fields)
    for place, variables in (("environment", os.environ), (".env", _dotenv())):
        values |= _Variables(variables, place, found).values(fields)
    return values | {FOUND: found}


def _dotenv() -> Mapping[str, str | None]:
    path = Path(".env")
    if not (path.is_file() or path.is_fifo()):
        return {}
    from dotenv import dotenv_values

    return dotenv_values(path, encoding="utf-8")


class _Variables:
    """Look our names up among variables; what an earlier source gave is left alone."""

    def __init__(self, variables: Mapping[str, str | None], place: str, found: Found) -> None:
        self._variables = {name: value for name, value in variables.items() if value is not None}
        self._place = place
        self._found = found

    def values(self, fields: tuple[str, ...]) -> dict[str, Any]:
        self._found.variables.extend(self._variables)
        values: dict[str, Any] = {}
        for field in fields:
            if field not in self._found.where:
                value, name = self._value(field)
                if value is not None:
                    values[field] = value
                    self._found.where[field] = f"{self._place} {name}"
        return values

    def _value(self, field: str) -> tuple[str | None, str]:
        """Return the first variable that sets the field, and its name."""
        name = next((name for name in FIELD_NAMES.get(field, ()) if self._is_set(name)), None)
        if name is not None:
            return self._variables[name], name
        return (self._url_file(), URL_FILE) if field == "database_url" else (None, field)

    def _is_set(self, name: str) -> bool:
        value = self._variables.get(name)
        if value is None:
            return False
        if name == "DATABASE_URL" and self._variables.get(URL_FILE):
            self._found.problems.append(f"both DATABASE_URL and {URL_FILE} are set; keep one of them")
        if not value and name in OURS:
            self._found.problems.append(f"{name} is empty; give it a value, or unset it")
        return bool(value)

    def _url_file(self) -> str | None:
        if not self._is_set(URL_FILE):
            return None
        path = self._variables[URL_FILE]
        assert path is not None
        try:
            text = read_secret(path, URL_FILE, "URL")
        except ConfigurationError as error:
            self._found.problems.append(in_one_line(error))
            return None
        self._found.url_file = path
        return text


def read_secret(path: str | Path, name: str, what: str) -> str:
    """Read a mounted secret without its final line break; ``name`` is the setting that names the file.

    Raises ConfigurationError for a file that cannot be read, is no text, or is empty; its content is never repeated.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} names {path}, which cannot be read: {error.strerror}") from None
    text = raw.decode("utf-8", "replace")
    # Compared, not caught: a UnicodeDecodeError holds the bytes.
    if text.encode() != raw or "\0" in text:
        raise ConfigurationError(f"{name} names {path}, which is not text")
    text = text.rstrip("\r\n")
    if not text:
        raise ConfigurationError(f"{name} names {path}, which is empty", hint=f"write the {what} into it")
    return text


def embedded_url(tier: str) -> str:
    """Start the embedded server, or find it running, and return its URL; refuse where its disk would not last.

    Tests get a database of their own: they must not meet, or wipe, what somebody develops with.
    """
    write = "set DATABASE_URL to postgresql://user:password@host/database"
    if platform := tiers.deployment_platform(os.environ):
        raise ConfigurationError(
            f"DATABASE_URL is not set, and an embedded server is not started on a deployment platform ({platform})",
            hint=f"{write}; the disk here is thrown away with the process, and what was written with it",
        )
    missing = "DATABASE_URL is not set, and no embedded PostgreSQL is installed"
    hint = f'{write}, or pip install "onetrip[local]"'
    entry = next(iter(entry_points(group="onetrip.embedded")), None)
    if entry is None:
        raise ConfigurationError(missing, hint=hint)
    try:
        start: Callable[..., str] = entry.load()
        return start("test") if tier == "test" else start()
    except ImportError as error:
        raise ConfigurationError(missing, hint=hint) from error
