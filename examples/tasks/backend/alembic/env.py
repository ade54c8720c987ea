"""Alembic's environment: our models on the application's settings; Better Auth's tables are not ours to change."""

from app.models import SQLModel

from onetrip import migrations

migrations.run(SQLModel.metadata, owned_by_others={"user", "session", "account", "verification"})
