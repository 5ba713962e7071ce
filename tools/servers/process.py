"""Processes that outlive this script: found again by a pid file, never signalled by mistake."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .console import Failure


@dataclass
class Process:
    """A server's process: the file that has its id, and an argument that only it has.

    An id alone proves nothing: after a crash it may have become another program's.
    """

    name: str
    pid_file: Path
    mark: str

    def pid(self) -> int | None:
        """Its process id, None if it does not run."""
        try:
            pid = int(self.pid_file.read_text().split()[0])
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return None
        return pid if self.mark.encode() in arguments else None

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Sends it a signal and returns once it has ended, if it runs at all."""
        if (pid := self.pid()) is not None:
            os.kill(pid, number)
            self.wait_for_end(pid, seconds)

    def wait_for_end(self, pid: int, seconds: float) -> None:
        """Returns once a process that was told to end has ended."""
        if not until(lambda: _ended(pid), seconds):
            raise Failure(f"{self.name} (process {pid}) has not ended within {seconds:.0f} s.")
        self.pid_file.unlink(missing_ok=True)


def _ended(pid: int) -> bool:
    """Whether all of a process is gone: while one thread is left, it has its ports and files."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


def until(done: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Asks again and again until the answer is yes; False when the time is over."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
