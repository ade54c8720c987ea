"""Fill an empty database."""

from sqlmodel import Session

from .db import engine
from .initial import init_db

if __name__ == "__main__":
    with Session(engine) as session:
        init_db(session)
        session.commit()
