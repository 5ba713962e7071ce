"""The recipe of a measurement: machine, tools, and the load of other processes."""

import datetime
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from tools.servers.site import ROOT

from . import usage
from .paths import ensure

_VERSION = {"wrk": "-v", "pgbench": "--version"}


def recipe(folder: Path, clients: dict[str, Path]) -> dict[str, object]:
    """All that is needed to repeat a measurement; `folder` is where its data are."""
    return {
        "command": command_line(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "fsync_ms": fsync_ms(folder),
        "tools": ", ".join([first_line(["rustc", "--version"]),
                            f"Python {platform.python_version()}",
                            *[first_line([str(path), _VERSION.get(name, "version")])
                              for name, path in clients.items()]]),
    }


def command_line() -> str:
    """The script as it was called, from the repository's root."""
    return shlex.join([f"stress/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def commit() -> str:
    """Short hash of the commit, marked if files differ from it."""
    head = first_line(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    if head == "unknown":
        return "not committed yet"
    changed = subprocess.run(["git", "-C", str(ROOT), "status", "--porcelain"],
                             capture_output=True, text=True, check=False).stdout
    return f"{head} with changes" if changed.strip() else head


def cpu_model() -> str:
    """Name of the processor."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def file_system(folder: Path) -> str:
    """Type of the file system that holds the folder."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, mounted = line.split()[:3]
        if folder.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, mounted
    return kind


def fsync_ms(folder: Path, writes: int = 200) -> dict[str, float]:
    """Time of appending 4 KiB and fsync: the lower limit of a durable commit."""
    path = ensure(folder) / f"fsync-{os.getpid()}"
    times = []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(writes):
                file.write(b"x" * 4096)
                began = time.perf_counter()
                os.fsync(file.fileno())
                times.append((time.perf_counter() - began) * 1e3)
    finally:
        path.unlink(missing_ok=True)
    return {"median": round(statistics.median(times), 3),
            "p99": round(sorted(times)[int(writes * 0.99) - 1], 3)}


def first_line(command: Sequence[str]) -> str:
    """First line of a command's output or errors (wrk -v prints its version and fails)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "unknown"
    lines = (done.stdout or done.stderr).strip().splitlines()
    good = done.returncode == 0 or Path(command[0]).name == "wrk"
    return lines[0].split(" Copyright")[0] if lines and good else "unknown"


class Quietness:
    """How much of the machine other processes used: a row with much other load is not reliable.

    Others are all processes except this one, the helpers (such as the database of the server under
    test) and the children of both. Their times are summed, because the machine's own counters are
    sampled at timer ticks, and a load that is paced by the same timer falsifies the sample.
    """

    def __init__(self, helpers: Collection[int] = ()) -> None:
        self.ours = {os.getpid(), *helpers}
        self.began, self.before = time.monotonic(), usage.others_seconds(self.ours)

    def others(self) -> float:
        """Share of all cores since the beginning, 0 to 1."""
        elapsed = time.monotonic() - self.began
        cores = len(os.sched_getaffinity(0))
        return max(0.0, usage.others_seconds(self.ours) - self.before) / max(0.01, elapsed * cores)
