"""Our dialects, judged by SQLAlchemy's own tests for dialects."""
