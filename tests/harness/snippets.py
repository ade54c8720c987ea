"""The Python blocks of a page of documentation, and a way to run them as its reader would: in order, in one program."""

import ast
import asyncio
import inspect
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

BLOCK = re.compile(
    r"(?P<note><!-- not run: [^\n]+ -->\s*\n)?^(?P<indent> *)```python *\n(?P<code>.*?)^ *```", re.M | re.S
)


@dataclass(frozen=True)
class Snippet:
    """One block; line numbers are those of the page."""

    page: Path
    line: int
    code: str
    runs: bool

    def compiled(self) -> CodeType:
        """Compile it, `await` at top level allowed; raise SyntaxError with the page's line."""
        source = "\n" * (self.line - 1) + self.code
        return compile(source, str(self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def snippets(page: Path) -> list[Snippet]:
    """Find the blocks that open with ```python; `<!-- not run: reason -->` above one keeps it from running."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Snippet(page, line, textwrap.dedent(match["code"]), runs=match["note"] is None))
    return found


def run_page(page: Path) -> None:
    """Run a page's blocks in one namespace, those that await on one event loop."""
    namespace = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for snippet in snippets(page):
            if snippet.runs:
                result = eval(snippet.compiled(), namespace)
                if inspect.iscoroutine(result):
                    runner.run(result)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
