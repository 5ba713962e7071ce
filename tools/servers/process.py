"""Children: programs that end with this one."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .console import Failure, say

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_children: dict[int, "Child"] = {}
# Children that were stopped while they ran, for the message after an interrupt.
_stopped: list[str] = []


@dataclass
class Child:
    """A running program that ends with this one."""

    name: str
    process: subprocess.Popen[str]
    # What it writes to standard error.
    log: IO[str]

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def finish(self, timeout: float, good: Collection[int] = (0,)) -> str:
        """Waits for its end and returns its standard output; fails on other exit codes."""
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failure(f"{self.name} was stopped: not done after {timeout:.0f} s") from None
        _children.pop(self.pid, None)
        if self.process.returncode not in good:
            raise self.failure(f"ended with code {self.process.returncode}", output)
        self.log.close()
        return output

    def failure(self, what: str, output: str = "") -> Failure:
        """A failure with the last lines of its output and its log."""
        self.log.seek(0)
        lines = [line for text in (output, self.log.read())
                 for line in text.strip().splitlines()[-15:]]
        return Failure("\n".join([f"{self.name} {what}; its last output:", *lines]))

    def wait_for(self, pattern: str, timeout: float) -> str:
        """The first group of the first line of its output that matches."""
        assert self.process.stdout is not None
        # Killing a program that never becomes ready ends its output, and so the loop below.
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                if found := re.search(pattern, line):
                    self._drain()
                    return found.group(1)
        finally:
            timer.cancel()
        self.process.wait()
        _children.pop(self.pid, None)
        raise self.failure(f"was not ready within {timeout:.0f} s or ended before")

    def _drain(self) -> None:
        # The rest of its output is not needed, but a full pipe would block it.
        stdout = self.process.stdout
        threading.Thread(target=lambda: [None for _ in stdout or ()], daemon=True).start()

    def stop(self, grace: float = 20.0) -> None:
        """Terminates it, and kills it if it has not ended after the grace period."""
        if self.process.poll() is None:
            _stopped.append(f"{self.name} ({self.pid})")
            _signal(self.pid, signal.SIGTERM)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                _signal(self.pid, signal.SIGKILL)
                self.process.wait()
        _children.pop(self.pid, None)
        self.log.close()


def _signal(pid: int, number: signal.Signals) -> None:
    # To the whole group, so that cargo's compilers end with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _die_with_parent() -> None:
    # Even if this program is killed, nothing is left running.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(name: str, command: Sequence[str | Path], logs: Path | None = None,
          env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Child:
    """Starts a program in its own process group, so that Ctrl-C reaches this program alone.

    Its standard error goes to a file in `logs`, or to one that is removed with the child.
    """
    log: IO[str] = tempfile.TemporaryFile("w+")
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        log = (logs / f"{name.replace(' ', '-')}.log").open("w+")
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=log, text=True, errors="replace", start_new_session=True,
        preexec_fn=_die_with_parent, env=env, cwd=cwd)
    child = _children[process.pid] = Child(name, process, log)
    return child


def run(name: str, command: Sequence[str | Path], timeout: float = 1800,
        env: Mapping[str, str] | None = None, cwd: Path | None = None,
        good: Collection[int] = (0,)) -> str:
    """Runs a program to its end and returns its standard output."""
    child = start(name, command, env=env, cwd=cwd)
    try:
        return child.finish(timeout, good)
    finally:
        child.stop()


def stop_all() -> None:
    """Stops all children that are still running."""
    for child in reversed(list(_children.values())):
        child.stop()


def guarded(main: Callable[[], int | None]) -> None:
    """Runs a script and exits with its code. However it ends, no child of it is left running."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_signal: int, _frame: object) -> None:
        _stopped.clear()
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, interrupt)
    name = sys.argv[0].rsplit("/", 1)[-1]
    code = 0
    try:
        code = main() or 0
    except Failure as failure:
        say(f"{name}: {failure}")
        code = failure.code
    except KeyboardInterrupt:
        stop_all()
        say(f"\n{name}: interrupted, unfinished results were not written; "
            f"stopped {', '.join(_stopped) or 'nothing, nothing was running'}")
        code = 130
    finally:
        stop_all()
    sys.exit(code)


def until(done: Callable[[], object], seconds: float, pause: float = 0.05) -> bool:
    """Polls until the answer is yes; False when the time is over."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
