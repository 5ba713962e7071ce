"""The servers under load: the product, the floor, a proxy, or one that was running already."""

import http.client
import random
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from tools.servers import nginx, process, storefront
from tools.servers.console import Failure
from tools.servers.downloads import unpacked
from tools.servers.process import Child
from tools.servers.site import free_port

from . import paths, programs, usage


@dataclass
class Server:
    """A server under load."""

    name: str
    base: str
    # None where it cannot be seen, for example because it is another user's process.
    pid: int | None
    # None for one that was running before.
    child: Child | None = None
    # Processes that work for it, such as those of its database.
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
        """Mean size of the answers for fifty games."""
        ids = random.Random(seed).sample(range(1, rows + 1), min(rows, 50))
        answers = [self.get(f"/api/overview/{game_id}") for game_id in ids]
        sizes = [size for status, size in answers if status == 200]
        if len(sizes) < len(ids):
            raise Failure(f"{self.base} does not have all games from 1 to {rows}: seed it, or name "
                          "the number that it has by --rows")
        return round(statistics.mean(sizes))

    def stop(self) -> None:
        """Stops it, if this run started it."""
        if self.child:
            self.child.stop()


def floor(size: int = 450) -> Server:
    """The bare handler that answers a constant."""
    child = process.start("floor", [programs.example("floor"), "--bytes", str(size)], paths.LOGS)
    base = child.wait_for(r"floor is ready: (\S+)", storefront.READY_SECONDS)
    return Server("floor", base, child.pid, child)


def product(database_url: str, helpers: Collection[int] = (), name: str = "storefront") -> Server:
    """`storefront serve` on a database: its defaults, a free port."""
    child, base = storefront.serve(programs.binary("storefront"), database_url, name=name,
                                   logs=paths.LOGS, inherit=True)
    return Server(name, base, child.pid, child, frozenset(helpers))


def proxy(store: Server) -> tuple[Server, dict[str, object]]:
    """nginx before the product, with the configuration that the repository ships; its recipe."""
    program, listen = unpacked("nginx", "nginx"), f"127.0.0.1:{free_port()}"
    command = nginx.configure(program, paths.ensure(paths.CACHE / "nginx"), listen,
                              [urlsplit(store.base).netloc])
    child = nginx.serve(command, listen, paths.LOGS)
    # Its workers are children of its master process, so the master counts as a helper.
    server = Server("nginx", f"http://{listen}", None, child, store.helpers | {child.pid})
    source = ", ".join(map(paths.shown, nginx.SHIPPED))
    return server, {"nginx": nginx.version(program).splitlines()[0].strip(),
                    "configuration": f"{source}; one server behind it, no access log"}


def running(name: str, base: str, flag: str = "--base") -> Server:
    """A server on this machine that was started by others."""
    base = paths.loopback(base, flag)
    return Server(name, base, usage.listener(urlsplit(base).port or 0))


def start_seconds(database_url: str) -> tuple[float, Server]:
    """Seconds from starting the product to its first 200 for game 1, and the server."""
    began = time.perf_counter()
    server = product(database_url)
    status, _ = server.get("/api/overview/1")
    seconds = time.perf_counter() - began
    if status != 200:
        raise Failure(f"GET /api/overview/1 answered {status}: the database must have game 1")
    return seconds, server
