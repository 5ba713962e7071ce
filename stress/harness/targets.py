"""The product and the floor, running."""

import http.client
import random
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from . import paths, processes, programs
from .console import Failure
from .processes import Child

READY_SECONDS = 120


@dataclass
class Server:
    """A server under load."""

    name: str
    base: str
    # None where it cannot be seen, as for another user's process.
    pid: int | None
    # None for one that was running before.
    child: Child | None = None
    # Processes that work for it: its database's.
    helpers: frozenset[int] = frozenset()

    def get(self, path: str) -> tuple[int, int]:
        """Status of one GET, and the size of its body."""
        status, body = self.ask("GET", path)
        return status, len(body)

    def ask(self, method: str, path: str, timeout: float = 10) -> tuple[int, bytes]:
        """Status and body of one answer."""
        parts = urlsplit(self.base)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            raise Failure(f"{self.base} does not answer: {error}") from None
        finally:
            connection.close()

    def typical_size(self, rows: int, seed: int) -> int:
        """Mean size of fifty games' answers."""
        ids = random.Random(seed).sample(range(1, rows + 1), min(rows, 50))
        answers = [self.get(f"/api/overview/{game_id}") for game_id in ids]
        sizes = [size for status, size in answers if status == 200]
        if len(sizes) < len(ids):
            raise Failure(f"{self.base} has not all games from 1 to {rows}: seed it, or name "
                          "the number that it has by --rows")
        return round(statistics.mean(sizes))

    def stop(self) -> None:
        """Ends it, if this run started it."""
        if self.child:
            self.child.stop()


def floor(size: int = 450) -> Server:
    """The bare handler that answers a constant."""
    child = processes.start("floor", [programs.example("floor"), "--bytes", str(size)])
    base = child.wait_for(r"floor is ready: (\S+)", READY_SECONDS)
    return Server("floor", base, child.pid, child)


def product(database_url: str, helpers: Collection[int] = (), name: str = "storefront") -> Server:
    """`storefront serve` on a database: its defaults, a free port."""
    child = processes.start(name, [
        programs.binary("storefront"), "serve", "--listen", "127.0.0.1:0",
        "--database-url", database_url])
    base = child.wait_for(r"storefront is ready: open (http://[^/\s]+)", READY_SECONDS)
    return Server(name, base, child.pid, child, frozenset(helpers))


def running(name: str, base: str, flag: str = "--base") -> Server:
    """A server that somebody else started, on this machine."""
    base = paths.loopback(base, flag)
    return Server(name, base, processes.listener(urlsplit(base).port or 0))


def start_seconds(database_url: str) -> tuple[float, Server]:
    """Seconds from starting the product to its first 200 for game 1, and the server."""
    began = time.perf_counter()
    server = product(database_url)
    status, _ = server.get("/api/overview/1")
    seconds = time.perf_counter() - began
    if status != 200:
        raise Failure(f"GET /api/overview/1 answered {status}: the database must have game 1")
    return seconds, server
