"""How the processes of a server are paused and continued."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tools.servers.console import Failure
from tools.servers.daemon import Daemon
from tools.servers.process import until

# A server with a child and a grandchild, as PostgreSQL's are: each in a session of its own.
SERVER = """
import subprocess, sys
count = int(sys.argv[1])
if count:
    child = subprocess.Popen([sys.executable, *sys.argv[2:4], str(count - 1), *sys.argv[2:]],
                             start_new_session=True)
print(count, flush=True)
sys.stdin.read()
"""


class Pauses(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.mark = str(folder / "data")
        command = [sys.executable, "-c", SERVER, "2", "-c", SERVER, self.mark]
        self.server = self.enterContext(subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert self.server.stdout
        # The last to start says 0; all end once their standard input does.
        self.assertTrue(any(line == "0\n" for line in self.server.stdout))
        self.daemon = Daemon("server", folder / "pid", self.mark)
        self.daemon.pid_file.write_text(f"{self.server.pid}\n")
        self.addCleanup(self.daemon.resume)

    def states(self) -> str:
        return "".join(state(int(file.parent.name)) for file in Path("/proc").glob("[0-9]*/cmdline")
                       if self.mark.encode() in content(file).split(b"\0"))

    def test_a_server_stands_still_with_all_its_descendants_and_goes_on(self) -> None:
        for _ in range(2):
            self.daemon.pause()
            self.assertEqual(self.states(), "TTT")
            self.assertEqual(str(self.daemon.state()), f"paused {self.server.pid}")
        for _ in range(2):
            self.daemon.resume()
            self.assertTrue(until(lambda: "T" not in self.states(), 5))
            self.assertEqual(str(self.daemon.state()), f"running {self.server.pid}")

    def test_what_was_half_paused_is_continued(self) -> None:
        self.daemon.pause()
        # As after an interrupted `resume`.
        subprocess.run(["kill", "-CONT", str(self.server.pid)], check=True)
        self.assertTrue(until(lambda: state(self.server.pid) != "T", 5))
        self.assertIn("T", self.states())
        self.daemon.resume()
        self.assertTrue(until(lambda: "T" not in self.states(), 5))

    def test_a_process_without_the_mark_is_left_alone(self) -> None:
        other = Daemon("other", self.daemon.pid_file, f"{self.mark}-of-another")
        with self.assertRaisesRegex(Failure, "other does not run"):
            other.pause()
        self.daemon.pause()
        other.resume()
        self.assertEqual((self.states(), str(other.state())), ("TTT", "stopped"))


def content(file: Path) -> bytes:
    """What a file of /proc has, nothing if its process has ended meanwhile."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


if __name__ == "__main__":
    unittest.main()
