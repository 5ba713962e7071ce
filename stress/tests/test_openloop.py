"""The open loop, with servers that misbehave in known ways."""

import json
import socketserver
import subprocess
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness import programs

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"

# The answer to a request by its number, from 0; None closes the connection without an answer.
Answer = Callable[[int], bytes | None]


@contextmanager
def serving(answer: Answer, asked: list[str] | None = None) -> Iterator[str]:
    """A server that adds the paths of its requests to `asked`."""
    counter, lock = [0], threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self.rfile.readline().strip():
                while self.rfile.readline().strip():
                    pass
                with lock:
                    if asked is not None:
                        asked.append(request.decode().split()[1])
                    number = counter[0]
                    counter[0] += 1
                said = answer(number)
                if said is None:
                    return
                self.wfile.write(said)
                if said is CLOSE:
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def openloop(base: str, *flags: str) -> dict[str, float | dict[str, int]]:
    done = subprocess.run([programs.example("openloop"), "--base", base, *flags],
                          capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


class OpenLoop(unittest.TestCase):
    def test_a_stall_delays_all_requests_that_became_due_meanwhile(self) -> None:
        def stalls_once(number: int) -> bytes:
            if number == 0:
                time.sleep(1.0)
            return OK

        with serving(stalls_once) as base:
            seen = openloop(base, "--rate", "100", "--seconds", "2", "--connections", "1")
        self.assertEqual((seen["ok"], seen["dropped"], seen["errors"]), (200, 0, {}))
        # 100 requests were due in the second of the stall: their delays spread from 1 s to 0.
        self.assertGreater(seen["p95_ms"], 800)
        self.assertGreater(seen["mean_ms"], 200)
        self.assertGreater(seen["max_ms"], 990)

    def test_requests_in_flight_at_the_end_are_dropped(self) -> None:
        def never(number: int) -> bytes:
            if number >= 10:
                time.sleep(30)
            return OK

        with serving(never) as base:
            seen = openloop(base, "--rate", "50", "--seconds", "1", "--connections", "4",
                            "--grace", "0.2")
        self.assertEqual((seen["due"], seen["ok"], seen["dropped"]), (50, 10, 40))
        self.assertEqual(seen["sent"], 14)
        self.assertLess(seen["achieved"], 11)

    def test_a_closed_connection_is_opened_again_and_no_error(self) -> None:
        with serving(lambda _number: CLOSE) as base:
            seen = openloop(base, "--rate", "50", "--seconds", "1", "--connections", "2")
        self.assertEqual((seen["ok"], seen["errors"]), (50, {}))
        self.assertGreater(seen["reconnects"], 40)

    def test_errors_are_counted_by_status_and_are_no_latency(self) -> None:
        def sometimes(number: int) -> bytes | None:
            return [OK, BUSY, None, OK][number % 4]

        with serving(sometimes) as base:
            seen = openloop(base, "--rate", "40", "--seconds", "1", "--connections", "1")
        self.assertEqual((seen["ok"], seen["errors"]), (20, {"503": 10, "broken": 10}))
        self.assertEqual(seen["dropped"], 0)

    def test_a_warm_up_is_offered_and_not_counted(self) -> None:
        with serving(lambda _number: OK) as base:
            seen = openloop(base, "--rate", "100", "--seconds", "1", "--warmup", "0.5")
        self.assertEqual((seen["ok"], seen["unmeasured"]), (100, 50))

    def test_load_never_leaves_this_machine(self) -> None:
        done = subprocess.run([programs.example("openloop"), "--base", "http://192.0.2.1:80",
                               "--rate", "1"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not on this machine", done.stderr)
