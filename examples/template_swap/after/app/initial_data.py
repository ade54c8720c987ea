"""Fill an empty database."""

from .db import db
from .initial import init_db

if __name__ == "__main__":
    with db.transaction() as session:
        init_db(session)
