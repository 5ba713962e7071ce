"""How servers are recognised, configured and stopped."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tools.servers import nginx
from tools.servers.process import until
from tools.servers.registry import servers
from tools.servers.site import DOWNLOADS, ROOT, opened


class States(unittest.TestCase):
    def test_servers_are_running_or_stopped(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            cassandra = {"nodes": 1, "heap": "1G", "fast_ddl": False, "yaml": {}}
            settings = {"port_base": 1, "postgres": {}, "cassandra": cassandra}
            (folder / "servers.json").write_text(json.dumps(settings))
            data = folder / "postgres" / "data"
            data.mkdir(parents=True)
            # A process is recognised by its number together with the folder among its arguments.
            sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
            with subprocess.Popen(sleep) as other, subprocess.Popen([*sleep, data]) as postmaster:
                for process, pid in ((other, None), (postmaster, postmaster.pid)):
                    # Right after its start a process has no command line yet.
                    self.assertTrue(until(Path(f"/proc/{process.pid}/cmdline").read_bytes, 5))
                    (data / "postmaster.pid").write_text(f"{process.pid}\n{data}\n")
                    with opened(folder, DOWNLOADS, None, create=False) as site:
                        assert site
                        states = [server.states() for server in servers(site).values()
                                  if server.known()]
                    process.kill()
                    self.assertEqual(states, [[("postgres", pid)], [("cassandra:1", None)]])

    def test_a_folder_without_servers_is_none(self) -> None:
        with tempfile.TemporaryDirectory() as name, \
                opened(Path(name), DOWNLOADS, None, create=False) as site:
            self.assertIsNone(site)


class Nginx(unittest.TestCase):
    def test_the_shipped_configuration_is_moved_to_one_server_and_port(self) -> None:
        text = ("upstream storefront {\n  server 127.0.0.1:3001 max_fails=1;\n"
                "  server shop.internal:3002;\n}\nserver {\n  listen 80 default_server;\n"
                "  listen [::]:80;\n  server_name _;\n}")
        moved = nginx.moved(text, "127.0.0.1:9", ["127.0.0.1:8"])
        self.assertIn("server 127.0.0.1:8 max_fails=1;", moved)
        self.assertIn("listen 127.0.0.1:9;", moved)
        self.assertIn("server_name _;", moved)
        for gone in ("3001", "3002", "listen 80", "[::]"):
            self.assertNotIn(gone, moved)

    def test_what_is_shipped_has_both(self) -> None:
        text = "\n".join(path.read_text() for path in nginx.SHIPPED)
        moved = nginx.moved(text, "127.0.0.1:9", ["127.0.0.1:8"])
        self.assertEqual((moved.count("listen 127.0.0.1:9;"), moved.count("127.0.0.1:8")), (1, 1))

    def test_only_parts_that_are_built_in_have_folders(self) -> None:
        built = "nginx/1.22.1\n--http-client-body-temp-path=/a --http-proxy-temp-path=/b"
        self.assertEqual(nginx.temporary(built),
                         "client_body_temp_path client_body;\nproxy_temp_path proxy;")


CHILD = """
from tools.servers import process
def main():
    print(process.start("sleeper", ["sleep", "60"]).pid, flush=True)
    process.run("other", ["sleep", "60"], 60)
process.guarded(main)
"""


class Interruption(unittest.TestCase):
    def test_an_interrupt_leaves_nothing_running_and_says_so(self) -> None:
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)):
            with self.subTest(number.name):
                script = subprocess.Popen([sys.executable, "-c", CHILD], cwd=ROOT, text=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                assert script.stdout
                sleeper = int(script.stdout.readline())
                script.send_signal(number)
                _, said = script.communicate(timeout=30)
                self.assertEqual(script.returncode, code)
                self.assertTrue(gone(sleeper))
                if code == 130:
                    self.assertIn(f"sleeper ({sleeper})", said)


def gone(pid: int) -> bool:
    """Whether a process ends within seconds; a zombie has ended."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    unittest.main()
