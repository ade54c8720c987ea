"""Write what the classes know into docs/errors, facts and index: ``python tools/error_pages.py``."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

from onetrip import errors
from onetrip._core.classify import Facts, classify
from onetrip.errors import DatabaseError, OnetripError, Phase

FOLDER = Path(__file__).parents[1] / "docs" / "errors"
INDEX = FOLDER / "README.md"
SECTIONS = ["Why", "What to do", "What onetrip does"]

_HEAD = "| class | phase | retry | HTTP |\n|---|---|---|---|\n"
_FACTS = re.compile(r"^\| class \|.*\n\|[-|]+\|\n\|.*\n", re.M)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_SQLSTATE = re.compile(r"([0-9A-Z]{5}) (.*)")

INTRO = """# Errors

Every failure of the database leaves onetrip as one of these classes, the same on every driver. Its message ends with
a code, which is the name of its page. `error.retry` says whether the same work may be tried again,
`error.http_status` what a client is told, `error.sqlstate` and `error.__cause__` what server and driver said.

| retry | means |
|---|---|
| no | it fails again until something is changed |
| yes | nothing of it happened; the whole transaction may be repeated at once |
| later | nothing of it happened; repeat it after a pause |
| unknown | it may have happened; look before you repeat |

With `FastAPI(lifespan=lifespan(db))` the response's body is `{"detail": …, "code": …}`; statement, host and
constraint stay in the log. A 503 that may be tried again carries `Retry-After`.

`onetrip doctor --explain "the text"` explains a text that is pasted; [`onetrip doctor`](../doctor.md) looks for
the cause between here and the database.

The tables below are written by `python tools/error_pages.py`; do not edit them.
"""


@dataclass(frozen=True)
class Page:
    """The page of one class."""

    kind: type[OnetripError]

    @property
    def path(self) -> Path:
        """Return the file."""
        return FOLDER / f"{self.kind.code}.md"

    @property
    def text(self) -> str:
        """Return what it says; empty if there is none."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    @property
    def summary(self) -> str:
        """Return its first paragraph: what happened."""
        return self.text.split("\n\n")[1].replace("\n", " ") if self.text else "no page yet"

    @property
    def sections(self) -> list[str]:
        """Return its headings."""
        return re.findall(r"^## (.*)$", self.text, re.M)

    def blocks(self, language: str) -> list[str]:
        """Return its fenced blocks of a language: ``text`` shows our message, ``log`` what others say, line by line."""
        return [code for found, code in _FENCE.findall(self.text) if found == language]

    def sayings(self) -> list[Facts]:
        """Return what servers, poolers and drivers say when they mean this; five characters in front are a SQLSTATE."""
        return [_facts(line) for block in self.blocks("log") for line in block.splitlines()]

    def facts(self) -> str:
        """Return the table that the class dictates."""
        family = [base for base in reversed(self.kind.__mro__) if issubclass(base, OnetripError)]
        line = " › ".join(f"`{base.__name__}`" for base in family[1:] or family)
        if not issubclass(self.kind, DatabaseError):
            return f"{_HEAD}| {line} | – | no | 500 |\n"
        return f"{_HEAD}| {line} | {self.kind.phase} | {self.kind.retry} | {self.kind.http_status} |\n"


def _facts(line: str) -> Facts:
    found = _SQLSTATE.fullmatch(line)
    state, text = (found[1], found[2]) if found else (None, line)
    return Facts(driver_error=Exception(text), sqlstate=state, constraint=None, text=text, names=frozenset())


def meaning(page: Page, said: Facts) -> type[DatabaseError]:
    """Return the class that the classifier gives to one of a page's sayings."""
    assert issubclass(page.kind, DatabaseError)
    phase = page.kind.phase if page.kind.phase in {Phase.CONNECT, Phase.COMMIT} else Phase.STATEMENT
    return classify(said, phase)


def pages() -> list[Page]:
    """Return the page of every class, in the order of the drawing in ``onetrip.errors``."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OnetripError)]
    drawn = re.findall(r"\w+", errors.__doc__ or "")
    return [Page(kind) for kind in sorted(kinds, key=lambda kind: drawn.index(kind.__name__))]


def index() -> str:
    """Return the index: every class, and every text that leads to one."""
    rows = [
        f"| {_nested(page.kind)}[{page.kind.code}]({page.path.name}) | {_verdict(page.kind)} | {page.summary} |"
        for page in pages()
    ]
    texts = sorted(
        (said.text.lower(), f"| {_state(said)} | {_code(said.text)} | [{page.kind.code}]({page.path.name}) |")
        for page in pages()
        for said in page.sayings()
    )
    return "\n".join(
        [
            INTRO,
            "## By code\n\n| code | retry | HTTP | what happened |\n|---|---|---|---|",
            *rows,
            "\n## By what the server or the driver said\n\n| SQLSTATE | text | code |\n|---|---|---|",
            *(row for _, row in texts),
            "",
        ]
    )


def _nested(kind: type[OnetripError]) -> str:
    depth = sum(issubclass(base, OnetripError) for base in kind.__mro__) - 2
    return "· " * max(depth, 0)


def _verdict(kind: type[OnetripError]) -> str:
    return f"{kind.retry} | {kind.http_status}" if issubclass(kind, DatabaseError) else "no | 500"


def _state(said: Facts) -> str:
    return _code(said.sqlstate) if said.sqlstate else ""


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


if __name__ == "__main__":
    for page in pages():
        if page.text:
            page.path.write_text(_FACTS.sub(lambda _, page=page: page.facts(), page.text, count=1), encoding="utf-8")
    INDEX.write_text(index(), encoding="utf-8")
