"""Processor time and memory of processes, as the kernel counts them."""

import os
import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tools.servers import process

from .paths import LOGS

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, by all its threads."""
    return sum(map(int, _stat(pid)[11:13])) / _TICKS


def family_seconds(pids: Collection[int]) -> float:
    """Processor time of processes and all their children, including those that have ended."""
    ticks = 0
    for pid, fields in _all_stats() if pids else ():
        if pid in pids:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) in pids:
            ticks += sum(map(int, fields[11:13]))
    return ticks / _TICKS


def others_seconds(ours: Collection[int]) -> float:
    """Processor time of all processes except ours and our children, including their children that
    have ended, and of the virtual machine's host (steal)."""
    ticks = sum(sum(map(int, fields[11:15])) for pid, fields in _all_stats()
                if pid not in ours and int(fields[1]) not in ours)
    ticks += int(Path("/proc/stat").read_text().split(maxsplit=9)[8])
    return ticks / _TICKS


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _all_stats() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*"):
        # A process may end between the listing and the reading.
        with suppress(OSError):
            yield int(path.name), _stat(int(path.name))


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


def run_watched(name: str, command: Sequence[str | Path], timeout: float) -> tuple[float, float]:
    """Runs a program to its end; seconds it took, and its peak resident memory in MB.

    The peak is the kernel's own high-water mark, read every 20 ms, so only growth within the very
    last 20 ms can be missed. (The figure that wait4 gives would include this script's memory.)
    """
    began = time.monotonic()
    child, peak = process.start(name, command, LOGS), [0.0]

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
