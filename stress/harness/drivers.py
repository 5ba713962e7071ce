"""The databases' drivers without HTTP: stress/driver_postgres.rs and stress/driver_cassandra.rs."""

from tools.servers.process import run

from . import programs
from .clients import SLACK, Sample, parse

# The store's number of connections to a node.
CASSANDRA_CONNECTIONS = 2


def postgres(url: str, rows: int, seconds: float, in_flight: int, seed: int,
             connections: int = 1) -> Sample:
    """Point reads, pipelined."""
    return _run("driver_postgres", url, rows, seconds, in_flight, seed, connections)


def cassandra(url: str, rows: int, seconds: float, in_flight: int, seed: int) -> Sample:
    """Point reads."""
    return _run("driver_cassandra", url, rows, seconds, in_flight, seed, CASSANDRA_CONNECTIONS)


class Inserts:
    """Inserts into a separate table in Cassandra, each game under a new id."""

    def __init__(self, url: str, seed: int) -> None:
        self.url, self.seed, self.next = url, seed, 1

    def run(self, seconds: float, in_flight: int) -> Sample:
        """Inserts with so many in flight."""
        sample = _run("driver_cassandra", self.url, 1, seconds, in_flight, self.seed,
                      CASSANDRA_CONNECTIONS, "--statement", "insert", "--first", str(self.next))
        self.next += sample.sent
        return sample


def _run(name: str, url: str, rows: int, seconds: float, in_flight: int, seed: int,
         connections: int, *more: str) -> Sample:
    return parse(name, run(name, [
        programs.example(name), "--url", url, "--rows", str(rows), "--seconds", str(seconds),
        "--in-flight", str(in_flight), "--connections", str(connections), "--seed", str(seed),
        *more], seconds + SLACK))
