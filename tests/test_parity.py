"""Database and AsyncDatabase are twins: the same program, with and without `await`."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/onetrip"
SYNC, ASYNC = PACKAGE / "database.py", PACKAGE / "aio.py"

# Async name → sync name. A rule that nothing uses fails the test.
RENAMES = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncDatabase": "Database",
    "AsyncEngine": "Engine",
    "AsyncIterator": "Iterator",
    "AsyncSession": "Session",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "async_engine": "engine",
    "asynccontextmanager": "contextmanager",
    "asyncio": "time",  # sleep()
    "leave": "end",
    "new_async_session": "new_session",
    "open_async": "open_sync",
}


class Synchronous(ast.NodeTransformer):
    """Turn an async module into what its twin has to be."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def rename(self, name: str) -> str:
        """Apply the rules, and remember which were of use."""
        if name in RENAMES:
            self.used.add(name)
        return RENAMES.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.rename(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A session's sync_session is the session."""
        self.generic_visit(node)
        node.attr = self.rename(node.attr)
        return node.value if node.attr == "sync_session" else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A name inside a text is renamed as well."""
        if isinstance(node.value, str):
            node.value = re.sub(r"\w+", lambda word: self.rename(word[0]), node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The bridges between the worlds are plain calls: session.run_sync(f, x) is f(session, x)."""
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Attribute(session, "run_sync"), [work, *rest]):
                return ast.Call(work, [session, *rest], node.keywords)
            case ast.Call(ast.Attribute(ast.Name("bridge"), "in_greenlet"), [work, *rest]):
                return ast.Call(work, rest, node.keywords)
            case ast.Call(ast.Attribute(ast.Name("bridge"), "finish"), [awaited]):
                return awaited
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self.rename(node.name)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self.rename(node.name)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_FunctionDef(ast.FunctionDef(**dict(ast.iter_fields(node)), lineno=node.lineno))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self.visit_With(ast.With(**dict(ast.iter_fields(node)), lineno=node.lineno))

    def visit_With(self, node: ast.With) -> ast.AST:
        """Blocks that only nest because one awaits and the other does not are one block."""
        self.generic_visit(node)
        match node.body:
            case [ast.With(items, body)]:
                node.items, node.body = node.items + items, body
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.generic_visit(ast.For(**dict(ast.iter_fields(node)), lineno=node.lineno))

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.is_async = 0
        return self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Awaitable[T] is T."""
        if isinstance(node.value, ast.Name) and node.value.id == "Awaitable":
            return self.visit(node.slice)
        return self.generic_visit(node)


def bare(path: Path) -> ast.Module:
    """Parse a file and drop what may differ: docstrings, and where names come from."""
    module = ast.parse(path.read_text())
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not is_docstring_or_import(statement)] or [ast.Pass()]
    return module


def is_docstring_or_import(node: ast.stmt) -> bool:
    """Say whether a statement is about names and words only."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Import | ast.ImportFrom)


def differences(async_source: ast.Module, sync_source: ast.Module) -> tuple[Iterator[str], set[str]]:
    """Return the lines that differ, and the rules that nothing used."""
    transformer = Synchronous()
    expected = ast.unparse(ast.fix_missing_locations(transformer.visit(async_source)))
    found = ast.unparse(sync_source)
    diff = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), "aio.py without await", "database.py", lineterm=""
    )
    return diff, RENAMES.keys() - transformer.used


@pytest.mark.skipif(not (SYNC.exists() and ASYNC.exists()), reason="the twins are not written yet")
def test_twins_are_equal() -> None:
    """Without async, await and docstrings, aio.py is database.py."""
    diff, unused = differences(bare(ASYNC), bare(SYNC))
    text = "\n".join(diff)
    assert not text, f"the twins differ:\n{text}"
    assert unused == set(), "rename rules that nothing uses"


def test_the_comparison_sees_a_difference() -> None:
    """A forgotten line in one twin is found; await, names and type hints that only say "async" are not."""
    source = """
async def f(work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async with x as y:
        return await work(y)
"""
    twin = """
def f(work: Callable[[Session], T]) -> T:
    with x as y:
        return work(y)
"""
    assert list(differences(ast.parse(source), ast.parse(twin))[0]) == []
    assert list(differences(ast.parse(source), ast.parse(twin.replace("return ", "")))[0]) != []
