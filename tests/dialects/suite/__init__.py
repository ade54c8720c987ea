"""The folder in which SQLAlchemy's suite runs."""
