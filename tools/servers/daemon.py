"""Daemons: processes that outlive this program, recognised by a file and an argument."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .console import Failure
from .process import until

_STOP_SECONDS = 5


@dataclass(frozen=True)
class State:
    """Of a daemon at one moment."""

    pid: int | None = None
    # In the kernel's ticks. With the id it names one process for ever.
    start_time: int | None = None
    # Stopped by a signal, and not continued.
    paused: bool = False

    @property
    def running(self) -> bool:
        """Whether it runs and is not paused."""
        return self.pid is not None and not self.paused

    def __str__(self) -> str:
        return f"{'paused' if self.paused else 'running'} {self.pid}" if self.pid else "stopped"


@dataclass
class Daemon:
    """A server's process: the file that has its id, and an argument that only it has.

    The id alone is not enough: after a crash it may have become another program's.
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

    def state(self) -> State:
        """Whether it runs, and which process it is."""
        pid = self.pid()
        fields = _stat(Path(f"/proc/{pid}")) if pid else None
        return State(pid, int(fields[19]), fields[0] == "T") if fields else State()

    def pause(self) -> None:
        """Stops it and its descendants, each where it is; returns once all of them stand still."""
        pid = self.pid()
        if pid is None:
            raise Failure(f"{self.name} does not run, so it cannot be paused.")
        # A parent first, and its children once it stands still: then it cannot make another.
        for process in _tree(pid):
            _send(process, signal.SIGSTOP)
            if not until(partial(_stands, process), _STOP_SECONDS, pause=0.001):
                raise Failure(f"process {process} of {self.name} does not stop: `resume "
                              f"{self.name}` continues the others.")

    def resume(self) -> None:
        """Continues it and its descendants; does nothing to what runs."""
        if (pid := self.pid()) is not None:
            # A parent that stands still reaps nothing: no id of a child can be another's by then.
            for process in reversed(list(_tree(pid))):
                _send(process, signal.SIGCONT)

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Sends it a signal and returns once it has ended, if it runs at all."""
        if (pid := self.pid()) is not None:
            os.kill(pid, number)
            self.resume()
            self.wait_for_end(pid, seconds)

    def wait_for_end(self, pid: int, seconds: float) -> None:
        """Returns once a process that was told to end has ended."""
        if not until(lambda: _ended(pid), seconds):
            raise Failure(f"{self.name} (process {pid}) has not ended within {seconds:.0f} s.")
        self.pid_file.unlink(missing_ok=True)


def _stat(folder: Path) -> list[str] | None:
    """The fields of a process or thread from the third, its state, on; None if there is none."""
    try:
        # The second is the program's name, which may contain spaces and parentheses.
        return (folder / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def _tree(pid: int) -> Iterator[int]:
    """A process and its descendants; the children of each are looked up once it was handled."""
    yield pid
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(folder)
        if fields and int(fields[1]) == pid:
            yield from _tree(int(folder.name))


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _stands(pid: int) -> bool:
    """Whether all threads of a process are stopped, or it has ended."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    found = [_stat(Path(f"/proc/{pid}/task/{thread}")) for thread in threads]
    return all(fields[0] in "TZX" for fields in found if fields)


def _ended(pid: int) -> bool:
    """Whether a process has ended: its ports and files are in use until its last thread ends."""
    # Reaps it if this program started it, or its processor time would be counted at a later wait.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = _stat(Path(f"/proc/{pid}"))
        return not fields or (fields[0] in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1)
    except OSError:
        return True
