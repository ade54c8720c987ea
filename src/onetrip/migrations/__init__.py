"""Alembic on the application's settings: the whole of an ``alembic/env.py``.

::

    from app.models import SQLModel
    from onetrip import migrations
    migrations.run(SQLModel.metadata)
"""

from onetrip.migrations._environment import run

__all__ = ["run"]
