"""The plan of every statement as the application runs it: as tasks_app, under row-level security, for one user.

auto_explain reports what ran, the statements inside of functions included; the application's own code makes them.
"""

from collections.abc import Callable

import psycopg
from app.queries import TaskQuery, change_task, new_task, tasks_page
from app.schemas import TaskNew
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlmodel import Session

LISTEN = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET auto_explain.log_buffers = on;
    SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = notice; SET client_min_messages = notice;
"""
TIMES = 12
"""Five until psycopg prepares a statement and five until PostgreSQL may settle on one plan for all values."""

OURS = ("Query Text: SELECT set_config", "Query Text: SELECT 1\n")


def plans(url: str, user: str, cursor: str, words: str, task: int) -> dict[str, str]:
    """Return EXPLAIN (ANALYZE, BUFFERS) of each operation for a user; ``url`` is a superuser's; nothing is kept."""

    def create(session: Session) -> None:
        session.add(new_task(user, TaskNew(title="Write the report", description="before the weekend")))
        session.flush()

    steps: dict[str, Callable[[Session], object]] = {
        "first page": lambda session: session.exec(tasks_page(user, TaskQuery())).all(),
        "deep page": lambda session: session.exec(tasks_page(user, TaskQuery(cursor=cursor))).all(),
        f"search for “{words}”": lambda session: session.exec(tasks_page(user, TaskQuery(q=words))).all(),
        "create": create,
        "complete": lambda session: session.scalar(change_task(user, task, {"completed": True})),
    }
    address: URL = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    try:
        return {name: _plan(engine, user, step) for name, step in steps.items()}
    finally:
        engine.dispose()


def _plan(engine: Engine, user: str, step: Callable[[Session], object]) -> str:
    said: list[str] = []
    with engine.connect() as connection:
        server = connection.connection.driver_connection
        assert isinstance(server, psycopg.Connection)
        server.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        for _ in range(TIMES):
            with Session(connection) as session:
                connection.execute(text(LISTEN))
                connection.execute(text("SET LOCAL ROLE tasks_app"))
                connection.execute(text("SELECT set_config('app.user_id', :user, true)"), {"user": user})
                said.clear()
                step(session)
                connection.execute(text("SELECT 1"))  # a plan is told when its portal makes room for the next
                session.rollback()
    return "\n\n".join(plan for plan in said if not any(ours in plan for ours in OURS))
