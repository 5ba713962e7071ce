"""Sizes, faults and the state of a real PostgreSQL server and its replica."""

import contextlib
import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.servers.console import Failure
from tools.servers.postgres import SIZES, sql
from tools.servers.registry import LAB, NAMES, servers
from tools.servers.site import DEPLOY, DOWNLOADS, ROOT, Site

SCRIPT = ROOT / "scripts" / "servers"
PRIMARY, REPLICA = "replicated", "replicated-replica"
# A standby refuses to start where its primary has more of one of these.
COUNTS = ["max_connections", "max_worker_processes"]


class Names(unittest.TestCase):
    def test_all_servers_have_ports_of_their_own(self) -> None:
        every = servers(Site(Path("/nowhere"), DOWNLOADS, 0, {"cassandra": {"nodes": 3}}))
        ports = [(part.address, part.port) for server in every.values()
                 for part in server.processes()]
        self.assertEqual(len(ports), len(set(ports)))
        self.assertEqual(list(every), NAMES)

    def test_the_labs_servers_exist(self) -> None:
        self.assertLessEqual(set(LAB), set(NAMES))


class Sizes(unittest.TestCase):
    def test_a_larger_size_has_more_and_none_loses_what_was_committed(self) -> None:
        texts = [(DEPLOY / "postgres" / f"size-{size}.conf").read_text() for size in SIZES]
        shipped = (DEPLOY / "postgres" / "postgresql.conf").read_text()
        counts = [[number(text, name) for name in COUNTS] for text in texts]
        self.assertEqual(counts, sorted(counts))
        self.assertLess(counts[-1][0], number(shipped, COUNTS[0]))
        keys = [re.findall(r"^\w+", text, re.MULTILINE) for text in texts]
        self.assertEqual((keys[0], keys[0]), (keys[1], keys[2]))
        self.assertFalse({"fsync", "full_page_writes", "synchronous_commit"} & set(keys[0]))


class RealServers(unittest.TestCase):
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "servers"
        cls.addClassCleanup(cls.script, "down")
        cls.script("--port-base", str(free_ports()), "up", REPLICA, "--size", "small")

    @classmethod
    def script(cls, *arguments: str, code: int = 0) -> str:
        done = subprocess.run([sys.executable, SCRIPT, "--dir", cls.folder, *arguments],
                              capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: code {done.returncode}\n{done.stderr}")
        return done.stdout

    def servers(self, code: int = 0) -> dict[str, Any]:
        found = json.loads(self.script("status", "--json", code=code))
        self.assertEqual((found["folder"], found["script"]), (str(self.folder), str(SCRIPT)))
        return {server["name"]: server for server in found["servers"]}

    def node(self, name: str, code: int = 0) -> dict[str, Any]:
        [node] = self.servers(code)[name]["nodes"]
        return dict(node)

    def url(self, name: str, user: str = "") -> str:
        return str(self.servers()[name]["urls"][f"{name}{user}"])

    def test_the_state_tells_programs_which_processes_are_the_servers(self) -> None:
        found = self.servers()
        self.assertEqual({name: (one["kind"], one["primary"], one["size"])
                          for name, one in found.items()},
                         {PRIMARY: ("postgres", None, "small"),
                          REPLICA: ("replica", PRIMARY, "small")})
        for name, server in found.items():
            [node] = server["nodes"]
            fields = Path(f"/proc/{node['pid']}/stat").read_text().split()
            self.assertEqual((node["name"], node["start_time"], node["paused"]),
                             (name, int(fields[21]), False))
            self.assertEqual(server["urls"][name], "postgres://storefront:storefront@"
                             f"{node['host']}:{node['port']}/storefront")

    def test_a_size_restarts_a_server_and_its_replica_once(self) -> None:
        shown = "SELECT string_agg(current_setting(name), ' ') FROM unnest(ARRAY['fsync', " \
                "'full_page_writes', 'synchronous_commit', 'max_connections']) AS name"
        for size in ("large", "small"):
            with self.subTest(size):
                self.assertEqual(self.script("size", PRIMARY, size), "")
                before = self.servers()
                text = (DEPLOY / "postgres" / f"size-{size}.conf").read_text()
                for name in (PRIMARY, REPLICA):
                    self.assertEqual(before[name]["size"], size)
                    self.assertEqual(sql(self.url(name), shown),
                                     f"on on on {number(text, 'max_connections')}")
                self.script("size", PRIMARY, size)
                self.assertEqual(self.servers(), before)
        self.assertIn("replicated-size small\n", self.script("status"))
        self.script("size", REPLICA, "small", code=64)

    def test_a_small_server_refuses_three_workers(self) -> None:
        url = self.url(PRIMARY)
        with contextlib.ExitStack() as stack:
            answers = [stack.enter_context(client(url)) for _ in range(27)]
        # Three of its fifteen connections are the superuser's.
        self.assertEqual(answers.count("1\n"), 12)

    def test_a_paused_server_does_not_answer_until_it_is_resumed(self) -> None:
        url, node = self.url(PRIMARY, "-admin"), self.node(PRIMARY)
        self.script("pause", PRIMARY)
        self.assertEqual(self.node(PRIMARY, code=3), {**node, "paused": True})
        self.assertIn(f"state {PRIMARY} paused {node['pid']}\n", self.script("status", code=3))
        with self.assertRaisesRegex(Failure, "not done"):
            sql(url, "SELECT 1", seconds=1)
        self.script("resume", PRIMARY, REPLICA)
        self.assertEqual(sql(url, "SELECT 1"), "1")
        self.assertEqual(self.node(PRIMARY), node)

    def test_a_paused_server_is_started_stopped_and_sized(self) -> None:
        node = self.node(REPLICA)
        for command in (["start", REPLICA], ["up", REPLICA], ["size", PRIMARY, "small"]):
            self.script("pause", PRIMARY, REPLICA)
            self.script(*command)
            self.script("resume", PRIMARY)
            self.assertEqual(self.node(REPLICA), node)
        for kill in ([], ["--kill"]):
            self.script("pause", REPLICA)
            self.script("stop", REPLICA, *kill)
            self.assertEqual(self.node(REPLICA, code=3)["pid"], None)
            self.script("pause", REPLICA, code=1)
            self.script("resume", REPLICA)
            self.script("start", REPLICA)
        self.assertNotEqual(self.node(REPLICA)["start_time"], node["start_time"])


@contextlib.contextmanager
def client(url: str) -> Iterator[str]:
    """The first line that psql prints, which stays connected; empty if it was refused."""
    with subprocess.Popen(["psql", "-XAtq", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as psql:
        assert psql.stdin and psql.stdout
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.write("SELECT 1;\n")
            psql.stdin.flush()
        yield psql.stdout.readline()
        # Its exit code tells no more than the line; it ends with its input.
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.close()
        psql.wait()


def number(text: str, name: str) -> int:
    """The value of a setting."""
    found = re.search(rf"^{name} = (\d+)$", text, re.MULTILINE)
    assert found, name
    return int(found[1])


def free_ports() -> int:
    """The base of ports of which those that are needed were free a moment ago."""
    # Below those that the system gives to clients.
    for base in random.sample(range(10_000, 32_000, 100), 100):
        with contextlib.ExitStack() as stack:
            try:
                for offset in (35, 36):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return base
    raise AssertionError("no ports are free")


if __name__ == "__main__":
    unittest.main()
