"""Fork four children out of a process whose threads are busy in a Database; everybody goes on."""

import faulthandler
import gc
import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable

from sqlalchemy import text

from onetrip import Database, Settings
from tests.failures.book import BOTH, ECHO, INSERT

PID = text("SELECT pg_backend_pid()")
BUSY = text("SELECT :n + 0, pg_sleep(0.002)")
PATIENCE = 20  # s


def use(db: Database, start: int, requests: int = 60) -> None:
    """Send requests of every kind, from three threads, and check the answers."""
    wrong: list[object] = []

    def work(n: int) -> None:
        for k in range(n, n + requests):
            if db.fetch_value(ECHO, {"n": k}) != k:
                wrong.append(k)
            with db.read(local={"app.n": str(k)}) as session:
                row = session.exec(text("SELECT :n + 0, current_setting('app.n')"), params={"n": k}).one()
                if tuple(row) != (k, str(k)):
                    wrong.append((k, row))
            if k % 2:
                db.execute(BOTH, {"n": k})
            else:
                with db.transaction() as session:
                    session.exec(INSERT, params={"n": k, "half": 1})
                    session.exec(INSERT, params={"n": k, "half": 2})

    threads = [threading.Thread(target=work, args=(start + k * 1000,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [], wrong


def child(db: Database, number: int, parents: set[int]) -> None:
    """Use the parent's Database as if it were one's own."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    gc.collect()
    assert db.fetch_value(PID) not in parents
    use(db, number * 10_000)
    db.close()
    gc.collect()


def by_os(work: Callable[[], None]) -> Callable[[], int]:
    """Fork, and leave without cleaning up."""
    if (pid := os.fork()) == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def by_exit(work: Callable[[], None]) -> Callable[[], int]:
    """Fork, and leave by the interpreter's own end, out of every block that is open."""
    if (pid := os.fork()) == 0:
        work()
        sys.exit(0)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def by_multiprocessing(work: Callable[[], None]) -> Callable[[], int]:
    """Let the standard library fork."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()

    def wait() -> int:
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    return wait


WAYS = {"os": by_os, "exit": by_exit, "multiprocessing": by_multiprocessing}


def main(url: str, driver: str, how: str) -> None:
    """Be the parent."""
    db = Database(settings=Settings(database_url=url, driver=driver, pool_max=8))
    stop, wrong, pids = threading.Event(), [], set()

    def busy() -> None:
        while not stop.is_set():
            n = random.randrange(10**6)
            with db.read() as session:
                if session.exec(BUSY, params={"n": n}).one()[0] != n:
                    wrong.append(n)
                pids.add(session.exec(PID).one()[0])

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    with db.transaction() as session:
        session.exec(INSERT, params={"n": 1, "half": 1})
        pids.add(session.exec(PID).one()[0])
        children = []
        for number in range(1, 5):
            with db.read() as reading:
                pids.add(reading.exec(PID).one()[0])  # and its ROLLBACK is owed when the process forks
            time.sleep(random.random() * 0.01)  # so that the threads are anywhere
            children.append(WAYS[how](lambda number=number: child(db, number, pids)))
        codes = [wait() for wait in children]
        session.exec(INSERT, params={"n": 1, "half": 2})
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4, codes
    assert wrong == [], wrong
    use(db, 50_000)
    assert not db.stats().discarded, db.stats()
    db.close()
    print("fine")


if __name__ == "__main__":
    main(*sys.argv[1:])
