"""The database servers that can be started, and NATS, by name."""

from .cassandra import Cassandra
from .nats import Nats
from .postgres import Postgres, Replica, binaries_15, binaries_18
from .site import Site

DatabaseServer = Postgres | Cassandra | Nats
NAMES = ["postgres", "replica", "postgres15", "cassandra", "nats"]


def servers(site: Site) -> dict[str, DatabaseServer]:
    """All of them, in the order in which they start; a replica after its primary."""
    primary = Postgres(site, "postgres", 32, binaries_18)
    return {
        "postgres": primary,
        "replica": Replica(primary, "postgres-replica", 33),
        "postgres15": Postgres(site, "postgres15", 34, binaries_15),
        "cassandra": Cassandra(site),
        "nats": Nats(site),
    }
