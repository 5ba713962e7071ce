"""The database servers that a measurement runs on: scripts/servers, one of them at a time."""

import argparse
import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from . import processes
from .console import Failure, say
from .paths import CACHE, ROOT, ensure

SCRIPT = ROOT / "scripts" / "servers"
FOLDER = CACHE / "servers"
PORT_BASE = 20400
# The first start downloads the servers.
START_SECONDS = 1800
_held: dict[Path, TextIO] = {}


@dataclass(frozen=True)
class DatabaseServers:
    """A folder of servers, kept between runs with their data, and its ports."""

    folder: Path
    port_base: int

    def alone(self, name: str, *flags: str) -> dict[str, str]:
        """Starts one server, stops all others; how to reach it, by name."""
        self.stop_all_but(name)
        output = self._call("up", name, *flags, seconds=START_SECONDS)
        return dict(line.split(" ", 1) for line in output.splitlines() if " " in line)

    def stop_all_but(self, name: str = "") -> None:
        """Ends what runs, and keeps its data."""
        for other in {state.partition(":")[0] for state, pid in self.states().items() if pid}:
            if other != name:
                self.stop(other)

    def stop(self, name: str) -> None:
        """Ends a server and keeps its data."""
        say(f"stopping {name}")
        self._call("stop", name, seconds=180)

    def states(self) -> dict[str, int | None]:
        """The process of each server that is there, None for one that is stopped."""
        if not (self.folder / "servers.json").exists():
            return {}
        return parse_states(self._call("status", seconds=60))

    def pids(self, name: str) -> frozenset[int]:
        """Processes of one server."""
        return frozenset(pid for state, pid in self.states().items()
                         if pid and state.partition(":")[0] == name)

    def _call(self, command: str, *words: str, seconds: float) -> str:
        ensure(self.folder.parent)
        ports = ["--port-base", str(self.port_base)] if command == "up" else []
        # `status` ends with 3 where not all run.
        return processes.run(f"servers {command}", [
            SCRIPT, "--dir", self.folder, *ports, command, *words], seconds, good=(0, 3))


def parse_states(output: str) -> dict[str, int | None]:
    """Servers and their processes in the words of `scripts/servers status`."""
    words = [line.split() for line in output.splitlines() if line.startswith("state ")]
    return {line[1]: int(line[3]) if line[2] == "running" else None for line in words}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags by which a script lets its user choose the place."""
    parser.add_argument("--servers", type=Path, default=FOLDER, metavar="DIR",
                        help="of scripts/servers [.cache/stress/servers]")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, metavar="P",
                        help=f"of scripts/servers [{PORT_BASE}]")


def of(args: argparse.Namespace) -> DatabaseServers:
    """The place that the flags name, held until this script ends: it stops servers there."""
    site = DatabaseServers(args.servers.resolve(), args.port_base)
    _hold(site.folder)
    return site


def _hold(folder: Path) -> None:
    path = ensure(folder.parent) / f"{folder.name}.lock"
    if path in _held:
        return
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure("another measurement uses the servers of this folder: wait for its end, or "
                      "name others by --servers and --port-base") from None
    _held[path] = handle
