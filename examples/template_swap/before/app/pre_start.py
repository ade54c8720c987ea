"""Wait until the database answers, before anything else starts."""

import logging

from sqlalchemy import Engine
from sqlmodel import Session, select
from tenacity import after_log, before_log, retry, stop_after_attempt, wait_fixed

from .db import engine

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)

TRIES = 300
PAUSE = 1


@retry(
    stop=stop_after_attempt(TRIES),
    wait=wait_fixed(PAUSE),
    before=before_log(logger, logging.INFO),
    after=after_log(logger, logging.WARNING),
)
def init(engine: Engine) -> None:
    """Ask for one row."""
    with Session(engine) as session:
        session.exec(select(1))


if __name__ == "__main__":
    init(engine)
