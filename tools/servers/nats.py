"""A NATS server with JetStream, which syncs each message to the disk."""

import signal
import socket
import subprocess
from pathlib import Path

from .console import Failure, tail
from .process import Daemon, run, until
from .site import ROOT, Site, remove

_START_SECONDS = 20
_STOP_SECONDS = 20


class Nats:
    """One server."""

    name = "nats"

    def __init__(self, site: Site) -> None:
        self.site, self.port = site, site.port(22)
        self.home = site.folder / self.name

    @property
    def process(self) -> Daemon:
        """The server, which writes its own pid file; no other has this configuration."""
        return Daemon(self.name, self.home / "pid", str(self.home / "nats.conf"))

    def known(self) -> bool:
        """Whether it exists in this set, running or stopped."""
        return self.name in self.site.settings

    def parts(self) -> list[str]:
        """Names of its parts: none, it is one process."""
        return []

    def states(self) -> list[tuple[str, int | None]]:
        """Its name and its process id."""
        return [(self.name, self.process.pid())]

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: a name and a value."""
        return [("nats-url", f"nats://127.0.0.1:{self.port}")]

    def up(self) -> None:
        """Creates it if it does not exist, and starts it if it does not run."""
        if not self.known():
            # Removes what an interrupted call may have left.
            self.down(keep=False)
            self.home.mkdir(parents=True)
            self.site.remember(self.name, {})
        self.start()

    def start(self, *_parts: int) -> None:
        """Starts it and returns once it accepts connections; does nothing if it runs."""
        if self.process.pid() is None:
            self._launch()
        if not until(self._answers, _START_SECONDS):
            raise Failure(f"{self.name} did not answer within {_START_SECONDS} s.\n"
                          f"{tail(self.home / 'log')}")

    def stop(self, *_parts: int, kill: bool = False) -> None:
        """Ends it and keeps its data."""
        self.process.end(signal.SIGKILL if kill else signal.SIGTERM, _STOP_SECONDS)

    def down(self, keep: bool) -> None:
        """Ends it and removes its data, or keeps them for the next `up`."""
        self.stop(kill=not keep)
        if not keep:
            remove(self.home)
            self.site.remember(self.name, None)

    def settings(self) -> str:
        """The configuration."""
        return (f'listen: "127.0.0.1:{self.port}"\n'
                f'pid_file: "{self.home / "pid"}"\n'
                f'jetstream {{ store_dir: "{self.home / "data"}", sync_interval: always }}\n')

    def _launch(self) -> None:
        program = Path(run("scripts/nats-server", [ROOT / "scripts" / "nats-server"]).strip())
        configuration = self.home / "nats.conf"
        configuration.write_text(self.settings())
        with (self.home / "log").open("a") as log:
            subprocess.Popen([program, "-c", configuration], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, cwd=self.home, start_new_session=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(1)
                return b'"jetstream":true' in connection.recv(4096)
        except OSError:
            return False
