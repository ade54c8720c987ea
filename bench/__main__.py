"""``python -m bench [question] …``: measure, and keep the results in bench/results."""

import argparse
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples/tasks/backend"))


def main() -> None:
    """Ask one question, the tasks application's unless named."""
    from bench import tasks  # after the path to the application

    # SIGTERM ends it the way Ctrl-C does, so that the servers go, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    questions = parser.add_subparsers(dest="question", metavar="question")
    tasks.options(questions.add_parser("tasks", help="the tasks application under 50 active users"))
    asked = sys.argv[1:] if any(not word.startswith("-") for word in sys.argv[1:2]) else ["tasks", *sys.argv[1:]]
    chosen = parser.parse_args(asked)
    try:
        tasks.run(chosen)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
