"""The commands of scripts/servers, on one set of servers; each returns the exit code."""

import argparse
import json

from .cassandra import Cassandra
from .console import Usage
from .postgres import Postgres
from .registry import LAB_NODES, NAMES, expanded, servers
from .server import Server
from .site import ROOT, Site


def up(site: Site, arguments: argparse.Namespace) -> int:
    """Creates and starts servers, and prints how to reach them."""
    every, names = servers(site), expanded(arguments.names)
    chosen = [every[name] for name in NAMES if name in names]
    nodes = arguments.nodes or (LAB_NODES if "lab" in arguments.names else None)
    for server in chosen:
        if isinstance(server, Cassandra):
            server.configure(nodes, arguments.heap, arguments.fast_ddl,
                             dict(arguments.yaml) or None)
    for server in chosen:
        if isinstance(server, Postgres):
            server.up(arguments.size)
        else:
            server.up()
    show(chosen)
    return 0


def down(site: Site, arguments: argparse.Namespace) -> int:
    """Stops servers, by default all, and removes their data."""
    every = servers(site)
    chosen = [every[name] for name in expanded(arguments.names) or NAMES]
    for server in reversed(every.values()):
        # A replica cannot start without its primary.
        if server in chosen or server.primary in chosen:
            server.down(arguments.keep)
    site.remove_if_unused()
    return 0


def start(site: Site, arguments: argparse.Namespace) -> int:
    """Starts servers or nodes that were stopped."""
    for server, node in parts(site, arguments.names):
        server.start(*node)
    return 0


def stop(site: Site, arguments: argparse.Namespace) -> int:
    """Stops servers or nodes and keeps their data."""
    for server, node in parts(site, arguments.names):
        server.stop(*node, kill=arguments.kill)
    return 0


def pause(site: Site, arguments: argparse.Namespace) -> int:
    """Stops the processes of servers or nodes where they are (SIGSTOP), until `resume`."""
    for server, node in parts(site, arguments.names):
        server.pause(*node)
    return 0


def resume(site: Site, arguments: argparse.Namespace) -> int:
    """Continues servers or nodes that were paused (SIGCONT); does nothing to others."""
    for server, node in parts(site, arguments.names):
        server.resume(*node)
    return 0


def size(site: Site, arguments: argparse.Namespace) -> int:
    """Gives a PostgreSQL server and its replica the settings of a size, by a restart."""
    for server, _ in parts(site, [arguments.name]):
        if not isinstance(server, Postgres):
            raise Usage(f"{server.name} has no size, only PostgreSQL has: with Cassandra choose "
                        "the replication factor of the keyspace.")
        server.resize(arguments.size)
    return 0


def status(site: Site, arguments: argparse.Namespace) -> int:
    """Prints which servers run, and how to reach them."""
    known = [server for server in servers(site).values() if server.known()]
    states = [part.process.state() for server in known for part in server.processes()]
    if arguments.json:
        print(json.dumps({"folder": str(site.folder), "script": str(ROOT / "scripts" / "servers"),
                          "servers": [server.description() for server in known]}))
    else:
        show_states(known)
        show(known)
    return 0 if states and all(state.running for state in states) else 3


def show_states(known: list[Server]) -> None:
    """Prints the state of each process, and the size of servers that have one."""
    for server in known:
        for part in server.processes():
            print("state", part.process.name, part.process.state())
    for server in known:
        if server.size:
            print(f"{server.name}-size", server.size)


def show(chosen: list[Server]) -> None:
    """Prints how to reach servers: lines of a name and a value."""
    for server in chosen:
        for name, value in server.lines():
            print(name, value)


def parts(site: Site, names: list[str]) -> list[tuple[Server, list[int]]]:
    """Servers by name, each with the number of its node if the name has one."""
    every, found = servers(site), []
    for name in expanded(names):
        server, _, node = name.removeprefix("postgres-").partition(":")
        if server not in every:
            raise Usage(f"No server is called {name}, there are {', '.join(NAMES)}.")
        if not every[server].known():
            raise Usage(f"There is no {name} here: `up {server}` creates it.")
        if node and node not in every[server].parts():
            raise Usage(f"{server} has no node {node}.")
        found.append((every[server], [int(node)] if node else []))
    return found
