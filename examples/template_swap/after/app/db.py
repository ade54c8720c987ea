"""The database."""

from onetrip import Database

db = Database()
