"""The engine."""

from sqlmodel import create_engine

from .config import settings

engine = create_engine(str(settings.database_uri))
