"""Every child process: started, watched and stopped here, and none survives the script."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .console import Failure, say
from .paths import LOGS, ensure

_children: dict[int, "Child"] = {}
# What was stopped while it ran, for the last words after an interrupt.
_stopped: list[str] = []
_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")


def _die_with_parent() -> None:
    # Even a killed script leaves nothing running.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Child:
    """A running program. Its standard error goes to a log file, named in complaints."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def finish(self, timeout: float, good: Collection[int] = (0,)) -> str:
        """Waits for its end and returns its standard output; a bad exit code is a Failure."""
        try:
            stdout, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failure(f"{self.name} was stopped: not done after {timeout:.0f} s") from None
        _children.pop(self.pid, None)
        if self.process.returncode not in good:
            raise Failure(self.complaint(f"ended with code {self.process.returncode}"))
        return stdout

    def complaint(self, what: str) -> str:
        """What went wrong, with the last words of its log."""
        words = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        return f"{self.name} {what}: {' / '.join(words) or 'it said nothing'}"

    def wait_for(self, pattern: str, timeout: float) -> str:
        """The first group of the first line of its output that matches."""
        assert self.process.stdout is not None
        # A program that never says it is ready is ended by the timer, which ends its output.
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
        raise Failure(self.complaint(f"was not ready within {timeout:.0f} s or ended before"))

    def _drain(self) -> None:
        # Nothing later in its output matters, but a full pipe would block it.
        stdout = self.process.stdout
        threading.Thread(target=lambda: [None for _ in stdout or ()], daemon=True).start()

    def stop(self, grace: float = 20.0) -> None:
        """Asks it to end, and kills it if it has not after the grace period."""
        if self.process.poll() is None:
            _stopped.append(f"{self.name} ({self.pid})")
            _signal(self.pid, signal.SIGTERM)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                _signal(self.pid, signal.SIGKILL)
                self.process.wait()
        _children.pop(self.pid, None)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, by all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def family_seconds(pids: Collection[int]) -> float:
    """Processor time of processes and all their children, those who have ended too."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat") if pids else ():
        try:
            pid, fields = int(path.parts[2]), path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if pid in pids:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) in pids:
            ticks += sum(map(int, fields[11:13]))
    return ticks / _TICKS


def memory_mb(pid: int, what: str = "VmRSS") -> float | None:
    """Resident memory (`VmRSS`) or its peak so far (`VmHWM`), None once the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else None


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine; None if it cannot be seen."""
    sockets = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if int(fields[1].rsplit(":", 1)[1], 16) == port and fields[3] == "0A":
                sockets.add(f"socket:[{fields[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) in sockets:
                return int(link.parts[2])
        except OSError:
            continue
    return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        # Each child leads a group of its own, so that cargo's compilers end with it.
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def start(name: str, command: Sequence[str | Path], env: dict[str, str] | None = None) -> Child:
    """Starts a program in a process group of its own, so that Ctrl-C reaches this script alone."""
    log = ensure(LOGS) / f"{name.replace(' ', '-')}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors, text=True, start_new_session=True, preexec_fn=_die_with_parent,
            env={**os.environ, **(env or {})},
        )
    child = Child(name, process, log)
    _children[child.pid] = child
    return child


def run(name: str, command: Sequence[str | Path], timeout: float,
        env: dict[str, str] | None = None, good: Collection[int] = (0,)) -> str:
    """Runs a program to its end and returns its standard output."""
    return start(name, command, env).finish(timeout, good)


def run_watched(name: str, command: Sequence[str | Path], timeout: float) -> tuple[float, float]:
    """Runs a program to its end; seconds it took, and its peak resident memory in MB.

    The peak is the kernel's own high-water mark, read every 20 ms, so only growth within the very
    last 20 ms can be missed. (The figure that wait4 gives would include this script's memory.)
    """
    began = time.monotonic()
    child, peak = start(name, command), [0.0]

    def watch() -> None:
        while (now := memory_mb(child.pid, "VmHWM")) is not None:
            peak[0] = now
            time.sleep(0.02)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    child.finish(timeout)
    seconds = time.monotonic() - began
    watcher.join()
    return seconds, peak[0]


def stop_all() -> None:
    """Stops whatever is still running."""
    for child in reversed(list(_children.values())):
        child.stop()


def guarded(main: Callable[[], int | None]) -> None:
    """Runs a script to its exit code. However it ends, no child of it is left running."""
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
    except Failure as refusal:
        say(f"{name}: {refusal}")
        code = 1
    except KeyboardInterrupt:
        stop_all()
        say(f"\n{name}: interrupted, what was not finished was not written; "
            f"stopped {', '.join(_stopped) or 'nothing, nothing was running'}")
        code = 130
    finally:
        stop_all()
    sys.exit(code)
