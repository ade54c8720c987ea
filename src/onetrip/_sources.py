"""Where settings come from: arguments, then the environment, then ``.env``; and a record of which it was."""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from onetrip._core import tiers
from onetrip._core.complaints import in_one_line
from onetrip._core.found import Found
from onetrip._core.names import FIELD_NAMES, OURS, URL_FILE
from onetrip.errors import ConfigurationError

FOUND = "found"
"""The key under which the record travels through pydantic-settings, beside the values."""


class Arguments(PydanticBaseSettingsSource):
    """Take what the constructor was given; None is "not given"."""

    def __init__(self, settings: type[BaseSettings], given: Mapping[str, Any], found: Found) -> None:
        super().__init__(settings)
        self._given = {name: value for name, value in given.items() if value is not None}
        self._found = found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return one argument."""
        return self._given.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        self._found.where |= dict.fromkeys(self._given, "argument")
        return {**self._given, FOUND: self._found}


class Variables(PydanticBaseSettingsSource):
    """Look our names up among variables; what an earlier source gave is left alone."""

    def __init__(
        self, settings: type[BaseSettings], variables: Mapping[str, str | None], place: str, found: Found
    ) -> None:
        super().__init__(settings)
        self._variables = {name: value for name, value in variables.items() if value is not None}
        self._place = place
        self._found = found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return the first variable that sets the field, and its name."""
        name = next((name for name in FIELD_NAMES.get(field_name, ()) if self._is_set(name)), None)
        return (self._variables[name] if name else None), name or field_name, False

    def __call__(self) -> dict[str, Any]:
        self._found.variables.extend(self._variables)
        values: dict[str, Any] = {}
        for field_name, info in self.settings_cls.model_fields.items():
            if field_name not in self._found.where:
                value, name, _ = self.get_field_value(info, field_name)
                if value is None and field_name == "database_url":
                    value, name = self._url_file(), URL_FILE
                if value is not None:
                    values[field_name] = value
                    self._found.where[field_name] = f"{self._place} {name}"
        return values

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
