"""Run our programs in processes of their own, and stop and continue them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path
from typing import Any

from tests.harness.wait import until

ROOT = Path(__file__).parents[2]


class Program:
    """Be a running program that answers each line with a line of JSON; any warning of it is an error."""

    def __init__(self, name: str, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-W", "error", "-X", "faulthandler", "-m", f"tests.failures.programs.{name}"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ask(self) -> Any:
        """Have it serve one request; fail with what it complained about."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return loads(line)

    def end(self, *, silent: bool = True) -> str:
        """Let it come to its end, by default without complaints; return what it said last."""
        try:
            said, complaints = self.process.communicate(timeout=120)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, complaints
        assert not silent or complaints == ""
        return said

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Freeze the process for the time of the block."""
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running(name: str, *arguments: str, **environment: str) -> Iterator[Program]:
    """Run a program for the time of the block; it ends by itself when nobody asks it any more."""
    program = Program(name, *arguments, **environment)
    try:
        yield program
        program.end()
    finally:
        program.process.kill()
        program.process.wait()
        for pipe in (program.process.stdin, program.process.stdout, program.process.stderr):
            if pipe:
                pipe.close()
