"""A NATS server with JetStream, which syncs each message to the disk."""

import signal
import socket
import subprocess
from pathlib import Path

from .console import Failure, tail
from .daemon import Daemon
from .process import run
from .server import SingleServer
from .site import ROOT, Site

_STOP_SECONDS = 20


class Nats(SingleServer):
    """One server."""

    kind = "nats"
    start_seconds = 20

    def __init__(self, site: Site) -> None:
        super().__init__(site, "nats", 22)

    @property
    def process(self) -> Daemon:
        """The server, which writes its own pid file; no other has this configuration."""
        return Daemon(self.name, self.folder / "pid", str(self.folder / "nats.conf"))

    @property
    def log(self) -> Path:
        """Its output."""
        return self.folder / "log"

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: a name and a value."""
        return [("nats-url", f"nats://{self.address}:{self.port}")]

    def create(self) -> None:
        """Creates its folder."""
        self.folder.mkdir(parents=True)

    def stop(self, *_numbers: int, kill: bool = False) -> None:
        """Ends it and keeps its data."""
        self.process.end(signal.SIGKILL if kill else signal.SIGTERM, _STOP_SECONDS)

    def settings(self) -> str:
        """The configuration."""
        return (f'listen: "{self.address}:{self.port}"\n'
                f'pid_file: "{self.folder / "pid"}"\n'
                f'jetstream {{ store_dir: "{self.folder / "data"}", sync_interval: always }}\n')

    def launch(self) -> None:
        """Starts its process."""
        program = Path(run("scripts/nats-server", [ROOT / "scripts" / "nats-server"]).strip())
        configuration = self.folder / "nats.conf"
        configuration.write_text(self.settings())
        with self.log.open("a") as log:
            subprocess.Popen([program, "-c", configuration], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, cwd=self.folder, start_new_session=True)

    def answers(self) -> bool:
        """Whether it greets a client, and has JetStream."""
        try:
            with socket.create_connection((self.address, self.port), 1) as connection:
                connection.settimeout(1)
                return b'"jetstream":true' in connection.recv(4096)
        except OSError:
            return False

    def failure(self) -> Failure:
        """Why it does not answer."""
        return Failure(f"{self.name} did not answer within {self.start_seconds} s.\n"
                       f"{tail(self.log)}")
