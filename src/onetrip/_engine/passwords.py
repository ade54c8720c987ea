"""Where the password of a new connection comes from, and whom to ask again when the server refused it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import MissingGreenlet

from onetrip._core.names import FIELD_NAMES, URL_FILE
from onetrip._core.secrets import remember
from onetrip._core.url import parse_url
from onetrip._engine import bridge
from onetrip._sources import read_secret
from onetrip.errors import ConfigurationError

if TYPE_CHECKING:
    from onetrip.settings import Settings


class Passwords:
    """Give each new connection its password: of the callable, of the file, or of the URL, in this order."""

    def __init__(self, settings: Settings) -> None:
        self._callable = settings.password
        self._file = settings.password_file
        self._url_file = settings.url_file
        self._in_url = settings.url.password if settings.url else None

    def current(self) -> str | None:
        """Return the password to send; None is "what the URL says", the embedded server's included.

        Raises ConfigurationError where a file cannot be read any more, or a function returns no text. Reading blocks:
        a mounted secret is in memory.
        """
        if self._callable is not None:
            return _remembered(_answer(self._callable))
        if self._file is not None:
            return _remembered(read_secret(self._file, FIELD_NAMES["password_file"][0], "password"))
        return self._in_url

    def renewed(self, refused: str | None) -> str | None:
        """Return another password than the one the server refused; None where the source has no other.

        A password that stands in the URL itself has no source to ask; a file that the URL came from is read again,
        for its password alone.
        """
        if self._url_file is not None:
            url = parse_url(read_secret(self._url_file, URL_FILE, "URL"), name=URL_FILE)
            self._in_url = _remembered(url.password) if url.password is not None else None
        password = self.current()
        return None if password == refused else password


def _answer(ask: Any) -> str:
    given = ask()
    if inspect.isawaitable(given):
        try:
            given = bridge.wait_for(given)
        except MissingGreenlet:
            raise ConfigurationError(
                "password is a coroutine function, which Database cannot await",
                hint="give Database a plain function, or use AsyncDatabase",
            ) from None
    if not isinstance(given, str) or not given:
        raise ConfigurationError(
            f"password returned {'an empty text' if given == '' else f'a {type(given).__name__}'}",
            hint="let the function return the password, as str",
        )
    return given


def _remembered(password: str) -> str:
    remember(password)
    return password
