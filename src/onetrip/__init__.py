"""The database layer for Python on serverless Postgres."""
