"""Real PostgreSQL, Cassandra and NATS servers without containers, for tests and measurements.

  scripts/servers up postgres cassandra --nodes 3     install, start, wait until they answer
  scripts/servers up postgres replica                 with a streaming replica
  scripts/servers up lab                              what `storefront lab` loads, see below
  scripts/servers status                              state and addresses; --json: for programs
  scripts/servers size postgres small                 restart it with the settings of a size
  scripts/servers stop cassandra:2 --kill             a fault: kill one of three nodes
  scripts/servers start cassandra:2                   start it again with its data
  scripts/servers pause postgres                      a fault: its processes stand still
  scripts/servers resume postgres                     they go on
  scripts/servers down                                stop all, remove their data

The servers are postgres (18), postgres15, replica (of postgres), replicated (18), its replica
replicated-replica, cassandra (5.0, one node or three; cassandra:1 to cassandra:3 are its nodes) and
nats (with JetStream). `lab` stands for postgres, replicated, replicated-replica and a Cassandra of
three nodes: no two of them share a server.

`up` and `status` print lines of a name and a value:

  postgres postgres://storefront:storefront@127.0.0.1:15432/storefront
  postgres-admin postgres://postgres:postgres@127.0.0.1:15432/postgres
  postgres-ca /the/folder/tls/ca.pem
  cassandra cassandra://127.0.0.1,127.0.0.2,127.0.0.3:15442/storefront
  nats-url nats://127.0.0.1:15422

`status` also prints `state NAME running PID`, `state NAME paused PID` or `state NAME stopped`, and
`NAME-size SIZE`; it ends with code 3 unless all are running. `up` starts what is stopped and leaves
running servers alone. `up`, `start`, `stop`, `down` and `size` resume first what is paused.

The sizes of PostgreSQL are small, medium and large: deploy/postgres/size-SIZE.conf, read after
postgresql.conf beside it. They differ in connections, memory, checkpoints and the time of a commit,
not in durability. A server keeps its size; one that has it already is not restarted. A replica has
that of its primary.

ports, counted from --port-base: 22 NATS, 32 postgres, 33 replica, 34 postgres15, 35 replicated,
36 replicated-replica (TLS on the same ports, with a certificate of postgres-ca for localhost and
127.0.0.1), 42 Cassandra's clients, 70 between its nodes, 81 to 83 their JMX; nodes are 127.0.0.1 to
127.0.0.3. Everything listens on loopback only.

exit codes: 1 failure, 3 `status`: not all running, 64 wrong use, 69 a program is missing (root
installs it instead).
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from .cassandra import heap_size, yaml_setting
from .commands import down, pause, resume, size, start, status, stop, up
from .console import Failure, Usage, say
from .postgres import SIZES
from .registry import NAMES
from .site import CACHE, DOWNLOADS, PORT_BASE, opened


def server_name(text: str) -> str:
    """A server by its name in commands or in their output, or `lab`."""
    name = text.removeprefix("postgres-")
    if name not in (*NAMES, "lab"):
        raise argparse.ArgumentTypeError(f"no server is called {text}, there are "
                                         f"{', '.join(NAMES)}")
    return name


class Parser(argparse.ArgumentParser):
    """Prints what is wrong in a line and refers to the help."""

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
                       help=f"first of the hundred ports of a set [{PORT_BASE}]")
    whole.add_argument("--downloads", type=Path, default=DOWNLOADS, metavar="D",
                       help="programs shared by all sets [.cache/servers/dist]")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=Parser)
    _up_parser(commands)
    named = "a server, a node as cassandra:2, or lab"
    for run, what in ((pause, "a fault: let its processes stand still"),
                      (resume, "continue what was paused"),
                      (start, "start what was stopped, with its data"),
                      (stop, "shut down cleanly, keep the data")):
        command = commands.add_parser(run.__name__, help=what, description=run.__doc__)
        command.add_argument("names", nargs="+", metavar="NAME", help=named)
        command.set_defaults(run=run)
    command.add_argument("--kill", action="store_true", help="end it at once, like a crash")
    command = commands.add_parser("down", help="stop and remove", description=down.__doc__)
    command.add_argument("names", nargs="*", type=server_name, metavar="NAME",
                         help="[all servers of the folder]")
    command.add_argument("--keep", action="store_true", help="keep the data for the next `up`")
    command.set_defaults(run=down)
    command = commands.add_parser("size", help="restart PostgreSQL with settings of a size",
                                  description=size.__doc__)
    command.add_argument("name", metavar="NAME", help="a primary; its replica follows")
    command.add_argument("size", choices=SIZES, metavar="SIZE", help=", ".join(SIZES))
    command.set_defaults(run=size)
    command = commands.add_parser("status", help="state and addresses", description=status.__doc__)
    command.add_argument("--json", action="store_true", help="as one JSON object")
    command.set_defaults(run=status)
    return whole


def _up_parser(commands: "argparse._SubParsersAction[Parser]") -> None:
    command = commands.add_parser("up", help="install, start, wait", description=up.__doc__)
    command.add_argument("names", nargs="+", type=server_name, metavar="NAME",
                         help=", ".join([*NAMES, "lab"]))
    command.add_argument("--nodes", type=int, choices=(1, 3),
                         help="of Cassandra [1, or as many as exist; 3 for lab]")
    command.add_argument("--size", choices=SIZES,
                         help="of PostgreSQL, as `size` does [as it is; at first that of "
                         "deploy/postgres/postgresql.conf alone]")
    command.add_argument("--heap", type=heap_size, metavar="SIZE",
                         help="of each Cassandra node, such as 512M or 3G [3G; 512M for three]")
    command.add_argument("--fast-ddl", action="store_true", default=None,
                         help="Cassandra does not write its schema to disk after each CREATE or "
                         "DROP: for tests that create many tables, not for measurements, and "
                         "not for tests that kill a node")
    command.add_argument("--yaml", action="append", default=[], type=yaml_setting,
                         metavar="KEY=VALUE", help="another line of cassandra.yaml, such as "
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
        say("scripts/servers: interrupted; `down` stops what was started")
        return 130


def execute(arguments: argparse.Namespace) -> int:
    """Runs a parsed command on its set of servers."""
    create = arguments.command == "up"
    with opened(arguments.dir, arguments.downloads, arguments.port_base, create) as site:
        if site:
            return int(arguments.run(site, arguments))
    if arguments.command == "down":
        return 0
    raise Failure(f"No servers are in {arguments.dir}: `scripts/servers up NAME` creates some.")
