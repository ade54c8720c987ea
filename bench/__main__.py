"""``python -m bench [question] …``: measure, and keep the results in bench/results."""

import argparse
import signal
import sys
from importlib import import_module
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples/tasks/backend"))

DRIVERS = {
    "trips": "how often a client waits for its database",
    "latency": "what a read takes with the database some distance away",
    "throughput": "reads a second and CPU a read where the network costs nothing",
    "coldstart": "from the start of a process to its first row",
    "memory": "what a connection costs while it rests",
}


def main() -> None:
    """Ask one question; without one, all that are about drivers."""
    # SIGTERM ends it the way Ctrl-C does, so that the servers go, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = _asked(sys.argv[1:])
    try:
        for name, arguments in asked:
            _ask(name, arguments)
        if len(asked) == len(DRIVERS) and "--quick" not in sys.argv:
            import_module("bench.readme").quote()
    except KeyboardInterrupt:
        sys.exit(130)


def _asked(words: list[str]) -> list[tuple[str, list[str]]]:
    if words and not words[0].startswith("-"):
        return [(words[0], words[1:])]
    return [("help", words)] if {"-h", "--help"} & set(words) else [(name, words) for name in DRIVERS]


def _ask(name: str, arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    questions = parser.add_subparsers(dest="question", metavar="question")
    for question, help_text in DRIVERS.items() if name != "tasks" else ():
        one = questions.add_parser(question, help=help_text)
        one.add_argument("--quick", action="store_true", help="a look whether it runs; results/quick/")
        if question == name:
            import_module(f"bench.{question}").options(one)
    tasks = questions.add_parser("tasks", help="the tasks application under 50 active users")
    if name == "tasks":
        import_module("bench.tasks").options(tasks)
    if name == "help":
        parser.print_help()
        return
    import_module(f"bench.{name}").run(parser.parse_args([name, *arguments]))


if __name__ == "__main__":
    main()
