"""Cassandra 5.0 from Maven Central: one node, or three on 127.0.0.1 to 127.0.0.3."""

import argparse
import re
import shutil
import signal
import string
import subprocess
import uuid
from pathlib import Path
from typing import Any

from .console import Failure, Usage, say, tail
from .cql import PASSWORD, USER, NodeError, Session
from .daemon import Daemon
from .downloads import copy_dependencies, downloaded, java
from .process import until
from .server import Server
from .site import DEPLOY, Site, claim, remove

VERSION = "5.0.6"
_CONFIGURATION = DEPLOY / "cassandra"
_HEAPS = {1: "3G", 3: "512M"}
_START_SECONDS = 180
_STOP_SECONDS = 60
# Replicated to three nodes, so that a read at TWO or THREE needs that many live nodes.
_REPLICATED = "SELECT view_name FROM system_distributed.view_build_status"


def heap_size(text: str) -> str:
    """A heap size in Java's format: 512M, 3G."""
    if not re.fullmatch(r"[1-9][0-9]*[MG]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512M or 3G")
    return text


def yaml_setting(text: str) -> tuple[str, str]:
    """A line of cassandra.yaml as KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not (equals and re.fullmatch("[a-z_]+", key)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a KEY=VALUE of cassandra.yaml")
    return key, value


class Node:
    """One node: its folder, its addresses, its process."""

    def __init__(self, site: Site, number: int) -> None:
        self.site, self.number = site, number
        self.name = f"cassandra:{number}"
        self.address = f"127.0.0.{number}"
        self.port, self.storage_port = site.port(42), site.port(70)
        self.jmx_port = site.port(80 + number)
        self.home = site.folder / "cassandra" / str(number)
        self.yaml = self.home / "conf" / "cassandra.yaml"
        self.process = Daemon(self.name, self.home / "pid", self._mark())

    def _mark(self) -> str:
        return f"-Dcassandra.config=file://{self.yaml}"

    def logs(self) -> list[Path]:
        """Its own log, and the output of Java."""
        return [self.home / "logs" / "system.log", self.home / "logs" / "output.log"]

    def launch(self, settings: dict[str, Any]) -> None:
        """Starts its process, if it does not run."""
        if self.process.pid() is not None:
            return
        for port in (self.port, self.storage_port):
            claim(self.address, port, self.name)
        claim("127.0.0.1", self.jmx_port, self.name)
        self._configure(settings)
        say(f"starting {self.name}")
        with open(self.logs()[1], "w") as output:
            started = subprocess.Popen(self._command(settings), cwd=self.home, stdout=output,
                                       stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        self.process.pid_file.write_text(f"{started.pid}\n")
        # Right after its start a process has no command line yet, by which it is recognised.
        until(lambda: self.process.pid() is not None or started.poll() is not None, 5, pause=0.001)

    def stop(self, kill: bool) -> None:
        """Ends its process: by SIGTERM, on which it drains, or by SIGKILL."""
        self.process.end(signal.SIGKILL if kill else signal.SIGTERM, _STOP_SECONDS)

    def sees(self, running: int) -> bool:
        """Whether it answers, and sees that many live nodes that have the same schema."""
        try:
            with Session(self.address, self.port) as session:
                schema = session.column("SELECT schema_version FROM system.local")
                if not schema or not schema[0]:
                    return False
                peers = session.column("SELECT peer FROM system.peers_v2 WHERE schema_version = "
                                       f"{uuid.UUID(bytes=schema[0])} ALLOW FILTERING")
                session.column(_REPLICATED, replicas=running)
                return len(peers) >= running - 1
        except NodeError:
            return False

    def _seeds(self, nodes: int) -> str:
        # All nodes are seeds: a node that starts must find another, whichever of them are stopped.
        return ",".join(f"127.0.0.{1 + index}:{self.storage_port}" for index in range(nodes))

    def _configure(self, settings: dict[str, Any]) -> None:
        for folder in ("conf", "logs", "tmp"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        for name in ("logback.xml", "cassandra-rackdc.properties"):
            shutil.copyfile(_CONFIGURATION / name, self.home / "conf" / name)
        text = (_CONFIGURATION / "cassandra.yaml").read_text()
        text = filled(text, {
            "listen_address": self.address, "rpc_address": self.address,
            "storage_port": self.storage_port, "native_transport_port": self.port,
            "- seeds": f'"{self._seeds(settings["nodes"])}"'})
        for key, value in settings.get("yaml", {}).items():
            text = re.sub(rf"^{key}:.*\n", "", text, flags=re.MULTILINE) + f"{key}: {value}\n"
        self.yaml.write_text(text)

    def _command(self, settings: dict[str, Any]) -> list[str]:
        jars = downloaded(self.site.downloads, f"cassandra-{VERSION}", fetch)
        options = string.Template((_CONFIGURATION / "jvm.options").read_text())
        lines = options.substitute(HEAP=settings["heap"]).splitlines()
        return [
            java(), f"-javaagent:{next(jars.glob('jamm-*.jar'))}",
            *[line for line in lines if line and not line.startswith("#")],
            f"-Djava.io.tmpdir={self.home / 'tmp'}", f"-XX:ErrorFile={self.home}/logs/crash.log",
            self._mark(), f"-Dcassandra.storagedir={self.home}",
            f"-Dcassandra.logdir={self.home / 'logs'}",
            f"-Dcassandra.jmx.local.port={self.jmx_port}",
            # Nodes that start together need no waiting time and have no data to stream.
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1000",
            "-Dcassandra.shutdown_announce_in_ms=200", "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dcassandra.auto_bootstrap=false",
            f"-Dcassandra.initial_token={token(self.number, settings['nodes'])}",
            *(["-Dcassandra.unsafesystem=true"] if settings["fast_ddl"] else []),
            "-cp", f"{self.home / 'conf'}:{jars}/*",
            "org.apache.cassandra.service.CassandraDaemon"]


def token(number: int, nodes: int) -> int:
    """The token of a node: all nodes have ranges of the same size."""
    return -2**63 + number * 2**64 // nodes - 1


def filled(yaml: str, values: dict[str, Any]) -> str:
    """The YAML text with other values under some of its keys."""
    for key, value in values.items():
        yaml, found = re.subn(rf"^( *{re.escape(key)}:) .*$", rf"\g<1> {value}", yaml,
                              flags=re.MULTILINE)
        if found != 1:
            raise Failure(f"deploy/cassandra/cassandra.yaml must have the key {key} once.")
    return yaml


def fetch(target: Path) -> None:
    """Downloads Cassandra's jars."""
    copy_dependencies(_CONFIGURATION / "pom.xml", target)


class Cassandra(Server):
    """The cluster."""

    kind = "cassandra"

    def __init__(self, site: Site) -> None:
        super().__init__(site, "cassandra")
        self.folder = site.folder / "cassandra"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its first start: nodes, heap, fast_ddl, yaml."""
        found: dict[str, Any] = self.site.settings.get("cassandra", {})
        return found

    @property
    def nodes(self) -> list[Node]:
        """Its nodes, running or not."""
        return [Node(self.site, number) for number in range(1, self.settings.get("nodes", 0) + 1)]

    def processes(self, *numbers: int) -> list[Node]:
        """Its nodes of these numbers, or all."""
        return [node for node in self.nodes if node.number in numbers or not numbers]

    def running(self) -> list[Node]:
        """Its nodes that run and are not paused."""
        return [node for node in self.nodes if node.process.state().running]

    def parts(self) -> list[str]:
        """What may follow `cassandra:` in a name."""
        return [str(node.number) for node in self.nodes]

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: a name and a value."""
        addresses = ",".join(node.address for node in self.nodes)
        secured = "authenticator" in self.settings.get("yaml", {})
        user = f"{USER}:{PASSWORD}@" if secured else ""
        return [("cassandra", f"cassandra://{user}{addresses}:{self.site.port(42)}/storefront")]

    def configure(self, nodes: int | None, heap: str | None = None, fast_ddl: bool | None = None,
                  yaml: dict[str, str] | None = None) -> None:
        """Sets what the first `up` creates. A later call may give the same values, or None."""
        asked = {"nodes": nodes, "heap": heap, "fast_ddl": fast_ddl, "yaml": yaml}
        for name, value in asked.items():
            if self.known() and value not in (None, self.settings.get(name)):
                raise Usage(f"The Cassandra of {self.site.folder} has {name} = "
                            f"{self.settings.get(name)}: `down cassandra` first, or another --dir.")
        if not self.known():
            nodes = nodes or 1
            self.site.remember("cassandra", {"nodes": nodes, "heap": heap or _HEAPS[nodes],
                                             "fast_ddl": bool(fast_ddl),
                                             "yaml": yaml or {}})

    def up(self) -> None:
        """Starts what does not run."""
        self.start()

    def start(self, *numbers: int) -> None:
        """Starts some nodes, or all, and returns once all running nodes see each other."""
        wanted = self.processes(*numbers)
        self.resume(*numbers)
        # The other nodes join the ring through a node that is running already.
        if not self.running():
            self._launch(wanted[:1])
        self._launch(wanted)

    def stop(self, *numbers: int, kill: bool = False) -> None:
        """Ends some nodes, or all, and keeps their data."""
        for node in self.processes(*numbers):
            node.stop(kill)

    def down(self, keep: bool) -> None:
        """Ends all nodes and removes their data, or keeps them for the next `up`."""
        for node in self.nodes:
            node.stop(kill=not keep)
        if not keep:
            remove(self.folder)
            self.site.remember("cassandra", None)

    def _launch(self, wanted: list[Node]) -> None:
        """Starts nodes and waits until all running nodes see each other."""
        for node in wanted:
            node.launch(self.settings)
        expected = [node for node in self.nodes
                    if node.process.state().running or node.number in [w.number for w in wanted]]

        def ended() -> list[Node]:
            return [node for node in expected if node.process.pid() is None]

        def blind() -> list[Node]:
            return [node for node in expected if not node.sees(len(expected))]

        if not until(lambda: bool(ended()) or not blind(), _START_SECONDS, pause=0.1):
            node = next(iter(blind()), wanted[0])
            raise Failure(f"{node.name} did not answer within {_START_SECONDS} s, or does not "
                          f"see all running nodes.\n{tail(*node.logs())}")
        for node in ended():
            raise Failure(f"{node.name} ended while starting.\n{tail(*node.logs())}")
