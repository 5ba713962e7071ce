"""What all servers have in common, and what those of a single process have."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .console import Failure
from .daemon import Daemon
from .process import until
from .site import Site, remove


class Part(Protocol):
    """A process of a server, and where it listens."""

    @property
    def process(self) -> Daemon:
        """The process."""

    @property
    def address(self) -> str:
        """Its IP address."""

    @property
    def port(self) -> int:
        """Its port for clients."""


class Server(ABC):
    """A server of one process or of several nodes, running or stopped."""

    kind: str
    # The server that a replica follows.
    primary: "Server | None" = None
    size: str | None = None

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name = site, name

    def known(self) -> bool:
        """Whether it exists in this set, running or stopped."""
        return self.name in self.site.settings

    @abstractmethod
    def processes(self, *numbers: int) -> Sequence[Part]:
        """Its nodes of these numbers, or all."""

    @abstractmethod
    def parts(self) -> list[str]:
        """What may follow its name and a colon."""

    @abstractmethod
    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: names and values."""

    @abstractmethod
    def up(self) -> None:
        """Creates it if it does not exist, and starts what does not run."""

    @abstractmethod
    def start(self, *numbers: int) -> None:
        """Starts nodes, or all, and returns once they answer; continues what is paused."""

    @abstractmethod
    def stop(self, *numbers: int, kill: bool = False) -> None:
        """Ends nodes, or all, and keeps their data."""

    @abstractmethod
    def down(self, keep: bool) -> None:
        """Ends it and removes its data, or keeps them for the next `up`."""

    def states(self) -> list[tuple[str, int | None]]:
        """Its processes and their ids."""
        return [(part.process.name, part.process.pid()) for part in self.processes()]

    def pause(self, *numbers: int) -> None:
        """Stops the processes of nodes, or all, where they are: clients wait."""
        for part in self.processes(*numbers):
            part.process.pause()

    def resume(self, *numbers: int) -> None:
        """Continues the processes of nodes, or all; does nothing to what is not paused."""
        for part in self.processes(*numbers):
            part.process.resume()

    def description(self) -> dict[str, Any]:
        """Its state, for programs."""
        return {"name": self.name, "kind": self.kind,
                "primary": self.primary.name if self.primary else None,
                "urls": dict(self.lines()), "size": self.size,
                "nodes": [_described(part) for part in self.processes()]}


def _described(part: Part) -> dict[str, Any]:
    state = part.process.state()
    return {"name": part.process.name, "pid": state.pid, "start_time": state.start_time,
            "paused": state.paused, "host": part.address, "port": part.port}


class SingleServer(Server):
    """A server of one process, with a folder of its own."""

    address = "127.0.0.1"
    start_seconds: int

    def __init__(self, site: Site, name: str, port: int) -> None:
        super().__init__(site, name)
        self.port = site.port(port)
        self.folder = site.folder / name

    @property
    @abstractmethod
    def process(self) -> Daemon:
        """Its process."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """Its own log."""

    @abstractmethod
    def create(self) -> None:
        """Creates its folder."""

    @abstractmethod
    def launch(self) -> None:
        """Starts its process."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether clients can use it."""

    @abstractmethod
    def failure(self) -> Failure:
        """Why it does not answer."""

    def processes(self, *_numbers: int) -> Sequence[Part]:
        """Itself."""
        return [self]

    def parts(self) -> list[str]:
        """None, it is one process."""
        return []

    def up(self) -> None:
        """Creates it if it does not exist, and starts it if it does not run."""
        if not self.known():
            # Removes what an interrupted call may have left.
            self.down(keep=False)
            self.create()
            self.remember()
        self.start()

    def remember(self) -> None:
        """Stores that it exists."""
        self.site.remember(self.name, {})

    def start(self, *_numbers: int) -> None:
        """Starts it and returns once it answers; does nothing if it runs."""
        self.resume()
        if self.process.pid() is None:
            self.launch()
        if not until(self.answers, self.start_seconds):
            raise self.failure()

    def down(self, keep: bool) -> None:
        """Ends it and removes its data, or keeps them for the next `up`."""
        if self.folder.exists():
            self.stop(kill=not keep)
        if not keep:
            remove(self.folder)
            self.site.remember(self.name, None)
