"""A Cassandra node: the data of its folder after seeding are kept, and restored for each run.

The files of a table never change once they are written, so hard links are a sufficient copy.
"""

import os
import shutil
import time
from pathlib import Path

from tools.servers.cassandra import Cassandra, Node
from tools.servers.console import Failure, say
from tools.servers.cql import Session
from tools.servers.site import DOWNLOADS, Site

from . import embedded_data, seeds
from .database_servers import DatabaseServers
from .seeds import Games, Stamp

_KEYSPACE = "storefront"
_STAMP = "stamp.json"
# Folders of a node that are not data.
_NOT_DATA = ("conf", "logs", "tmp")
_SETTINGS = ("commitlog_sync", "commitlog_sync_period", "memtable_allocation_type",
             "disk_access_mode", "paxos_variant", "concurrent_reads", "concurrent_writes")
# There are pauses between compactions: quiet means that none ran for so long.
_QUIET_SECONDS = 5.0
_COMPACTION_SECONDS = 3600.0


class SeededNode:
    """The node. It runs after `working` and `empty`."""

    def __init__(self, servers: DatabaseServers) -> None:
        self.servers = servers
        self.node = Node(Site(servers.folder, DOWNLOADS, servers.port_base, {}), 1)
        self.home = self.node.home
        # Next to the servers' own folder: hard links need the same file system.
        self.kept = servers.folder.with_name(f"{servers.folder.name}-kept")

    @property
    def url(self) -> str:
        """The address for the product."""
        return f"cassandra://{self.node.address}:{self.node.port}/{_KEYSPACE}?replication=1"

    def working(self, games: Games) -> Stamp:
        """Starts the node with only the seeded games; returns how they were seeded."""
        folder = self.kept / f"cassandra-{games.name}"
        if games.reseed:
            shutil.rmtree(folder, ignore_errors=True)
        if not (folder / _STAMP).exists():
            self._seed(games, folder)
        self.remove()
        linked(folder, self.home)
        self._start()
        return Stamp.of((folder / _STAMP).read_text())

    def empty(self) -> None:
        """Starts the node with nothing in it."""
        self.remove()
        self._start()

    def remove(self) -> None:
        """Stops the node, if it runs, and removes its data."""
        if self.servers.pids("cassandra"):
            self.servers.stop("cassandra")
        clear(self.home)

    def recipe(self) -> dict[str, object]:
        """Version and settings, from the node itself."""
        settings = [(name, self.ask("SELECT value FROM system_views.settings "
                                    f"WHERE name = '{name}'")) for name in _SETTINGS]
        shown = ", ".join(f"{name} {value[0].decode()}" for name, value in settings if value)
        version = self.ask("SELECT release_version FROM system.local")[0].decode()
        with self.servers.by_name() as found:
            assert isinstance(cassandra := found["cassandra"], Cassandra)
            heap = cassandra.settings["heap"]
        return {"version": f"Cassandra {version}, one node, heap {heap}, deploy/cassandra",
                "settings": shown,
                "writes": "answered before they are on disk (commitlog_sync periodic, 10 s)"}

    def ask(self, query: str) -> list[bytes]:
        """The values of a query of one column."""
        with Session(self.node.address, self.node.port, 30.0) as session:
            return session.column(query)

    def wait_until_quiet(self) -> None:
        """Returns once no compaction or flush has run for a while."""
        end, quiet_since = time.monotonic() + _COMPACTION_SECONDS, time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS:
            if time.monotonic() > end:
                raise Failure("Cassandra still compacts after an hour: look at its logs in "
                              f"{self.home / 'logs'}")
            if self._busy():
                quiet_since = time.monotonic()
            time.sleep(0.5)

    def _busy(self) -> int:
        counts = [self.ask(f"SELECT {column} FROM system_views.thread_pools WHERE name = '{pool}'")
                  for pool in ("CompactionExecutor", "MemtableFlushWriter")
                  for column in ("active_tasks", "pending_tasks")]
        return sum(int.from_bytes(values[0]) for values in counts if values)

    def _start(self) -> None:
        self.servers.alone("cassandra")

    def _seed(self, games: Games, folder: Path) -> None:
        """Seeds an empty node. The folder gets its name only when it is complete."""
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        self.remove()
        embedded_data.need_space(self.servers.folder.parent, games.rows * 2)
        self._start()
        seeds.announce(games, f"Cassandra's {_KEYSPACE}")
        stamp = seeds.fill(self.url, games)
        say("waiting until Cassandra has finished its compactions")
        self.wait_until_quiet()
        # On SIGTERM it flushes its memory to tables.
        self.servers.stop("cassandra")
        linked(self.home, part)
        (part / _STAMP).write_text(stamp.text() + "\n")
        os.replace(part, folder)


def clear(home: Path) -> None:
    """Removes a stopped node's data."""
    for path in home.iterdir() if home.exists() else ():
        if path.name in _NOT_DATA:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def linked(source: Path, copy: Path) -> None:
    """Copies a stopped node's data: hard links to the large files of tables, copies of the rest."""
    for path in source.iterdir():
        if path.is_dir() and path.name not in _NOT_DATA:
            shutil.copytree(path, copy / path.name, copy_function=_link_or_copy)


def _link_or_copy(source: str, copy: str) -> None:
    # Only the statistics of a table are ever rewritten in place.
    if source.endswith(".db") and not source.endswith("Statistics.db"):
        os.link(source, copy)
    else:
        shutil.copy2(source, copy)
