"""The database servers that can be started, and NATS, by name."""

from .cassandra import Cassandra
from .nats import Nats
from .postgres import Postgres, binaries_15, binaries_18
from .replica import Replica
from .server import Server
from .site import Site

NAMES = ["postgres", "replica", "postgres15", "replicated", "replicated-replica", "cassandra",
         "nats"]
# What `storefront lab` loads side by side: leasing one of them must not take another.
LAB = ["postgres", "replicated", "replicated-replica", "cassandra"]
LAB_NODES = 3


def expanded(names: list[str]) -> list[str]:
    """The names with those of the lab's servers in place of `lab`."""
    return [one for name in names for one in (LAB if name == "lab" else [name])]


def servers(site: Site) -> dict[str, Server]:
    """All of them, in the order in which they start; a replica after its primary."""
    primary = Postgres(site, "postgres", 32, binaries_18)
    replicated = Postgres(site, "replicated", 35, binaries_18)
    return {
        "postgres": primary,
        "replica": Replica(primary, "postgres-replica", 33),
        "postgres15": Postgres(site, "postgres15", 34, binaries_15),
        "replicated": replicated,
        "replicated-replica": Replica(replicated, "replicated-replica", 36),
        "cassandra": Cassandra(site),
        "nats": Nats(site),
    }
