"""Alembic's environment."""

from app.models import SQLModel

from onetrip import migrations

migrations.run(SQLModel.metadata)
