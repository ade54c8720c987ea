"""The tree of errors in the documentation is the tree of classes."""

import inspect
import re

from onetrip import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.OnetripError)]


def drawn() -> list[tuple[str, str | None]]:
    """Read (class, parent) pairs from the drawing in its docstring."""
    pairs: list[tuple[str, str | None]] = []
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ((?:│   |    |├── |└── )*)([A-Z]\w+)", line):
            depth, name = len(found[1]) // 4, found[2]
            path[depth:] = [name]
            pairs.append((name, path[depth - 1] if depth else None))
    return pairs


def test_the_drawing_is_true() -> None:
    """Each class stands once under its base class, none is missing, none is invented."""
    real = [(c.__name__, None if c is errors.OnetripError else c.__bases__[0].__name__) for c in CLASSES]
    assert sorted(drawn()) == sorted(real)


def test_codes_are_unique() -> None:
    """Each class has a code of its own, written like-this."""
    codes = [c.__dict__.get("code") for c in CLASSES]
    assert sorted(set(codes)) == sorted(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z]+)*", str(code))] == []
