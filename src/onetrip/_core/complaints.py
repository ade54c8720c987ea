"""What a validator found, in one line each that says what to write instead."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from onetrip._core.names import did_you_mean
from onetrip._core.secrets import redact
from onetrip._core.tiers import TIER_ALIASES, TIERS
from onetrip.errors import ConfigurationError

_LONGEST = 40  # a longer value is no typing error but something in the wrong place
_WANTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number of seconds",
    "float_type": "a number of seconds",
    "finite_number": "a finite number of seconds",
    "bool_parsing": "on or off",
    "bool_type": "on or off",
    "string_type": "text",
}
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_BOUND_WORDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def complain(errors: Iterable[Mapping[str, Any]], called: Callable[[str], str], fields: Iterable[str]) -> list[str]:
    """Turn pydantic's errors into lines of ours; a value is repeated only if it is short and no secret of ours."""
    fields = tuple(fields)
    return list(dict.fromkeys(_line(error, called, fields) for error in errors))


def in_one_line(error: ConfigurationError) -> str:
    """Return what is wrong and what to write, as one line among others."""
    return f"{error.what}; {error.hint}" if error.hint else error.what


def unknown_tier(name: str, value: str) -> str:
    """Return the line for a tier that does not exist."""
    return f"{name} is {_shown(value)}, which is no tier; {did_you_mean(value, (*TIERS, *TIER_ALIASES))}"


def _line(error: Mapping[str, Any], called: Callable[[str], str], fields: tuple[str, ...]) -> str:
    kind, place = str(error["type"]), str(error["loc"][0])
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"there is no setting {place!r}; {did_you_mean(place, fields)}"
    name, value = called(place), error.get("input")
    if place == "password_file":
        return f"{name} is not the path of a file"
    if place == "password":
        return f"{name} is not a function; give one that returns the password, or put the password into DATABASE_URL"
    if place.endswith("database_url"):
        return f"{name} is not text; write postgresql://user:password@host/database"
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{name} is {_shown(value)}; {did_you_mean(str(value), choices)}"
    if kind in _BOUNDS:
        bound = _BOUNDS[kind]
        return f"{name} is {_shown(value)}; it must be {_BOUND_WORDS[bound]} {context[bound]:g}"
    return f"{name} is {_shown(value)}, which is not {_WANTED.get(kind, 'a value it takes')}"


def _shown(value: object) -> str:
    if isinstance(value, (int, float)):
        return str(value)
    text = redact(str(value))
    if text.strip("+-.0123456789") == "" and len(text) <= _LONGEST:
        return text or "empty"
    return repr(text) if len(text) <= _LONGEST and "://" not in text else f"a text of {len(text)} characters"
