"""The tasks application of ADR-010: FastAPI, SQLModel, Alembic and row-level security on onetrip."""
