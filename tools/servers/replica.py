"""A streaming replica of a PostgreSQL server of the same set."""

from .accounts import own_folder, unprivileged
from .console import Failure, Usage, say, tail
from .postgres import LONGEST, Postgres
from .process import run, until

_CATCH_UP_SECONDS = 60


class Replica(Postgres):
    """A streaming replica, created from the data folder of the stopped primary."""

    kind = "replica"
    primary: Postgres

    def __init__(self, primary: Postgres, name: str, port: int) -> None:
        super().__init__(primary.site, name, port, primary.binaries)
        self.primary = primary
        primary.replicas.append(self)

    def create(self) -> None:
        """Stops the primary, copies its data and starts it again."""
        self.primary.up()
        say(f"stopping {self.primary.name} while its data are copied")
        self.primary.stop()
        self.size = self.primary.size
        own_folder(self.folder, unprivileged(), LONGEST)
        run(f"copying the data of {self.primary.name}",
            ["cp", "-a", "--reflink=auto", self.primary.data, self.data])
        (self.data / "standby.signal").touch()
        self.primary.start()

    def up(self, size: str | None = None) -> None:
        """Starts the primary too; a size is that of both."""
        self.primary.up(size)
        super().up()

    def resize(self, size: str) -> None:
        """Refused: it would have fewer connections than its primary, or more than are needed."""
        raise Usage(f"{self.name} has the size of its primary: `size {self.primary.name} {size}` "
                    "changes both.")

    def restart(self, size: str) -> None:
        """Restarts it with the settings of a size once it knows those of its primary."""
        if size != self.size:
            self._catch_up()
            super().restart(size)

    def _catch_up(self) -> None:
        """Waits until it knows how many connections its primary has, after that was restarted.

        A replica refuses to start with fewer than it last heard of. The checkpoint makes it start
        from that record, not from an older one.
        """
        position = self.primary.query("CHECKPOINT", "SELECT pg_current_wal_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        if not until(lambda: self.query(replayed) == "t", _CATCH_UP_SECONDS):
            raise Failure(f"{self.name} has not replayed the log of {self.primary.name} within "
                          f"{_CATCH_UP_SECONDS} s.\n{tail(self.log)}")

    def settings(self) -> str:
        """It follows the primary over TCP, like a replica on another machine."""
        source = (f"host=127.0.0.1 port={self.primary.port} user=postgres password=postgres "
                  f"sslmode=require application_name={self.name}")
        return (super().settings() + f"primary_conninfo = '{source}'\n"
                # How soon it connects again after a restart of its primary.
                "wal_retrieve_retry_interval = 500ms\n")

    def answers(self) -> bool:
        """While the primary runs, a replica is ready once it streams."""
        if not super().answers():
            return False
        if not self.primary.process.state().running:
            return True
        return self.query("SELECT status FROM pg_stat_wal_receiver") == "streaming"
