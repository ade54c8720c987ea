"""What autogenerate leaves alone, and what its files need in order to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

IncludeObject = Callable[[Any, str | None, str, bool, Any], bool]
RenderItem = Callable[[str, Any, "AutogenContext"], Any]


def leaving_out(tables: frozenset[str], also: IncludeObject | None) -> IncludeObject:
    """Return an ``include_object`` without ``tables`` and without what ``also``, the user's own, leaves out."""

    def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001  Alembic's signature
        if kind == "table" and (f"{item.schema}.{name}" if item.schema else name) in tables:
            return False
        return also is None or also(item, name, kind, reflected, compare_to)

    return include_object


def importing(also: RenderItem | None) -> RenderItem:
    """Return a ``render_item`` that adds the import of every type that is not SQLAlchemy's own.

    Alembic writes ``sqlmodel.sql.sqltypes.AutoString()`` into the file, and no import: a NameError when it runs.
    """

    def render_item(kind: str, item: Any, autogenerate: AutogenContext) -> Any:
        if also is not None and (rendered := also(kind, item, autogenerate)) is not False:
            return rendered
        module = type(item).__module__
        if kind == "type" and not module.startswith("sqlalchemy."):
            autogenerate.imports.add(f"import {module}")
        return False

    return render_item
