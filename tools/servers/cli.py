"""Real PostgreSQL and Cassandra servers without containers, for tests and measurements.

  scripts/servers up postgres cassandra --nodes 3     install, start, wait until they answer
  scripts/servers up postgres replica                 with a streaming replica
  scripts/servers status                              how to reach what is there
  scripts/servers stop cassandra:2 --kill             a fault: one of three nodes dies
  scripts/servers start cassandra:2                   ... and comes back with its data
  scripts/servers down                                end all, remove their data

The servers are postgres (18), postgres15, replica (of postgres) and cassandra (5.0, one node or
three); cassandra:1 to cassandra:3 are its nodes.

`up` and `status` print one line a fact, a name and a value:

  postgres postgres://storefront:storefront@127.0.0.1:15432/storefront
  postgres-admin postgres://postgres:postgres@127.0.0.1:15432/postgres
  postgres-ca /the/folder/tls/ca.pem
  cassandra cassandra://127.0.0.1,127.0.0.2,127.0.0.3:15442/storefront

`status` has also `state NAME running PID` or `state NAME stopped`, and ends with code 3 unless all
are running. `up` again starts what is stopped and nothing twice.

ports, counted from --port-base: 32 postgres, 33 replica, 34 postgres15 (TLS on the same ports, by
a certificate of postgres-ca for localhost and 127.0.0.1), 42 Cassandra's clients, 70 between its
nodes, 81 to 83 their JMX; nodes are 127.0.0.1 to 127.0.0.3. Everything listens on loopback only.

exit codes: 1 something failed, 3 `status`: not all running, 64 wrong use, 69 a program is missing
(as root it is installed instead).
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from .cassandra import Cassandra, heap_size, yaml_setting
from .console import Failure, Usage, say
from .postgres import Postgres, Replica, binaries_15, binaries_18
from .site import CACHE, PORT_BASE, Site, opened

NAMES = ["postgres", "replica", "postgres15", "cassandra"]


def servers(site: Site) -> dict[str, Postgres | Cassandra]:
    """Every server that this script can start, by name."""
    primary = Postgres(site, "postgres", 32, binaries_18)
    return {
        "postgres": primary,
        "replica": Replica(primary, "postgres-replica", 33),
        "postgres15": Postgres(site, "postgres15", 34, binaries_15),
        "cassandra": Cassandra(site),
    }


def up(site: Site, arguments: argparse.Namespace) -> int:
    """Starts what is named, and prints how to reach it."""
    every = servers(site)
    chosen = [every[name] for name in NAMES if name in arguments.names]
    for server in chosen:
        if isinstance(server, Cassandra):
            server.configure(arguments.nodes, arguments.heap, arguments.fast_ddl,
                             dict(arguments.yaml) or None)
    for server in chosen:
        server.up()
    show(chosen)
    return 0


def down(site: Site, arguments: argparse.Namespace) -> int:
    """Ends what is named, or everything, and removes its data."""
    chosen = set(arguments.names or NAMES)
    if "postgres" in chosen:
        # It is a copy of this very server's data.
        chosen.add("replica")
    every = servers(site)
    for name in reversed(NAMES):
        if name in chosen:
            every[name].down(arguments.keep)
    site.leave()
    return 0


def start(site: Site, arguments: argparse.Namespace) -> int:
    """Starts servers or nodes that were stopped."""
    for server, node in parts(site, arguments.names):
        server.start(*node)
    return 0


def stop(site: Site, arguments: argparse.Namespace) -> int:
    """Ends servers or nodes and keeps their data."""
    for server, node in parts(site, arguments.names):
        server.stop(*node, kill=arguments.kill)
    return 0


def status(site: Site, _arguments: argparse.Namespace) -> int:
    """Prints what is there."""
    known = [server for server in servers(site).values() if server.known()]
    states = [state for server in known for state in server.states()]
    for name, pid in states:
        print("state", name, f"running {pid}" if pid else "stopped")
    show(known)
    return 0 if states and all(pid for _, pid in states) else 3


def show(chosen: list[Postgres | Cassandra]) -> None:
    """Prints how to reach servers: a name and a value a line."""
    for server in chosen:
        for name, value in server.lines():
            print(name, value)


def parts(site: Site, names: list[str]) -> list[tuple[Postgres | Cassandra, list[int]]]:
    """Servers by name, each with the number of the node that was named, if one was."""
    every, found = servers(site), []
    for name in names:
        server, _, node = name.removeprefix("postgres-").partition(":")
        if server not in every:
            raise Usage(f"No server is called {name}, there are {', '.join(NAMES)}.")
        if not every[server].known():
            raise Usage(f"There is no {name} here: `up {server}` makes it.")
        if node and node not in every[server].parts():
            raise Usage(f"{server} has no node {node}.")
        found.append((every[server], [int(node)] if node else []))
    return found


def server_name(text: str) -> str:
    """A server by the name that it has in commands or in what they print."""
    name = text.removeprefix("postgres-")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"no server is called {text}, there are "
                                         f"{', '.join(NAMES)}")
    return name


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line and points to the help."""

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message}; see scripts/servers --help")
        sys.exit(Usage.code)


def parser() -> Parser:
    """The command line."""
    whole = Parser(prog="scripts/servers", description=__doc__,
                   formatter_class=argparse.RawDescriptionHelpFormatter)
    whole.add_argument("--dir", type=Path, default=CACHE / "default", metavar="D",
                       help="data, logs and certificates of one set of servers "
                       "[.cache/servers/default]")
    whole.add_argument("--port-base", type=int, metavar="P",
                       help=f"where a set's hundred ports begin [{PORT_BASE}]")
    whole.add_argument("--downloads", type=Path, default=CACHE / "dist", metavar="D",
                       help="what all sets share [.cache/servers/dist]")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=Parser)
    _up_parser(commands)
    named = "postgres, postgres15, replica, cassandra or a node as cassandra:2"
    for run, what in ((start, "start what was stopped, with its data"),
                      (stop, "end it as it would like to be ended, keep its data")):
        command = commands.add_parser(run.__name__, help=what, description=run.__doc__)
        command.add_argument("names", nargs="+", metavar="NAME", help=named)
        command.set_defaults(run=run)
    command.add_argument("--kill", action="store_true", help="end it at once, as a crash would")
    command = commands.add_parser("down", help="end and remove", description=down.__doc__)
    command.add_argument("names", nargs="*", type=server_name, metavar="NAME",
                         help="[everything that this folder has]")
    command.add_argument("--keep", action="store_true", help="keep the data for the next `up`")
    command.set_defaults(run=down)
    command = commands.add_parser("status", help="what is there", description=status.__doc__)
    command.set_defaults(run=status)
    return whole


def _up_parser(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("up", help="install, start, wait", description=up.__doc__)
    command.add_argument("names", nargs="+", type=server_name, metavar="NAME",
                         help=", ".join(NAMES))
    command.add_argument("--nodes", type=int, choices=(1, 3),
                         help="of Cassandra [1, or as many as there are]")
    command.add_argument("--heap", type=heap_size, metavar="SIZE",
                         help="of each Cassandra node, such as 512M or 3G [3G; 512M for three]")
    command.add_argument("--fast-ddl", action="store_true", default=None,
                         help="Cassandra does not write its schema to disk after each CREATE or "
                         "DROP: for tests that make many tables, not for measurements, and not "
                         "for tests that kill a node")
    command.add_argument("--yaml", action="append", default=[], type=yaml_setting,
                         metavar="KEY=VALUE", help="a further line of cassandra.yaml, such as "
                         "hinted_handoff_enabled=false or authenticator=PasswordAuthenticator")
    command.set_defaults(run=up)


def main() -> int:
    """Runs the command; returns the exit code."""
    try:
        return execute(parser().parse_args())
    except Failure as failure:
        say(f"scripts/servers: {failure}")
        return failure.code
    except KeyboardInterrupt:
        say("scripts/servers: interrupted; `down` ends what was started")
        return 130


def execute(arguments: argparse.Namespace) -> int:
    """Runs a parsed command on its set of servers."""
    create = arguments.command == "up"
    with opened(arguments.dir, arguments.downloads, arguments.port_base, create) as site:
        if site:
            return arguments.run(site, arguments)
    if arguments.command == "down":
        return 0
    raise Failure(f"No servers are in {arguments.dir}: `scripts/servers up NAME` makes some.")
