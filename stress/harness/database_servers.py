"""The database servers that a measurement runs on: one of them at a time, kept with its data."""

import argparse
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tools.servers.cassandra import Cassandra
from tools.servers.console import Failure, say
from tools.servers.registry import servers
from tools.servers.server import Server
from tools.servers.site import DOWNLOADS, opened

from .paths import CACHE, ensure

FOLDER = CACHE / "servers"
PORT_BASE = 20400
_held: dict[Path, TextIO] = {}


@dataclass(frozen=True)
class DatabaseServers:
    """A set of servers that stays between runs."""

    folder: Path
    port_base: int

    @contextmanager
    def by_name(self, create: bool = False) -> Iterator[dict[str, Server]]:
        """The servers, locked against other calls; none where there is no such folder yet."""
        port_base = self.port_base if create else None
        with opened(self.folder, DOWNLOADS, port_base, create) as site:
            yield servers(site) if site else {}

    def alone(self, name: str) -> dict[str, str]:
        """Starts one server and stops all others; how to reach it, by name."""
        self.stop_all_but(name)
        with self.by_name(create=True) as found:
            server = found[name]
            if isinstance(server, Cassandra):
                server.configure(nodes=1)
            server.up()
            return dict(server.lines())

    def stop_all_but(self, name: str = "") -> None:
        """Stops what runs, and keeps its data."""
        with self.by_name() as found:
            for other, server in found.items():
                if other != name and any(pid for _, pid in server.states()):
                    say(f"stopping {other}")
                    server.stop()

    def stop(self, name: str) -> None:
        """Stops a server and keeps its data."""
        say(f"stopping {name}")
        with self.by_name() as found:
            found[name].stop()

    def pids(self, name: str) -> frozenset[int]:
        """Processes of one server."""
        with self.by_name() as found:
            states = found[name].states() if name in found else []
        return frozenset(pid for _, pid in states if pid)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags for the folder and the ports of the servers."""
    parser.add_argument("--servers", type=Path, default=FOLDER, metavar="DIR",
                        help="of scripts/servers [.cache/stress/servers]")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, metavar="P",
                        help=f"of scripts/servers [{PORT_BASE}]")


def of(args: argparse.Namespace) -> DatabaseServers:
    """The servers that the flags name, reserved until this script ends, because it stops them."""
    found = DatabaseServers(args.servers.resolve(), args.port_base)
    _reserve(found.folder)
    return found


def _reserve(folder: Path) -> None:
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
