"""The simulated users, with servers that answer in known ways."""

import json
import subprocess
import time
import unittest
from typing import Any

from harness import programs
from tests.test_openloop import BUSY, serving

ORDER = b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"order_id":"o1"}'
SOLD_OUT = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n"


def simulate(base: str, *flags: str) -> dict[str, Any]:
    done = subprocess.run([programs.example("user_simulation"), "--base", base, *flags],
                          capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class UserSimulation(unittest.TestCase):
    def test_a_user_does_one_operation_after_another_and_begins_again(self) -> None:
        asked: list[str] = []
        with serving(lambda _number: ORDER, asked) as base:
            seen = simulate(base, "--users", "1", "--pause", "0.1", "--seconds", "0.45",
                            "--items", "1")
        self.assertEqual(asked, ["/orders/create/0", "/orders/addItem/o1/0/1",
                                 "/orders/checkout/o1", "/orders/find/o1", "/orders/create/0"])
        self.assertEqual((seen["ok"], seen["acts"]["create"]["answered"]), (5, 2))

    def test_the_run_ends_when_each_order_is_checked_out_once(self) -> None:
        asked: list[str] = []
        with serving(lambda _number: ORDER, asked) as base:
            seen = simulate(base, "--users", "4", "--seconds", "30", "--orders", "10..29")
        self.assertEqual(sorted(asked), [f"/orders/checkout/{order}" for order in range(10, 30)])
        self.assertLess(seen["seconds"], 5)
        self.assertLessEqual(seen["first_wave_seconds"], seen["seconds"])

    def test_a_refusal_that_the_route_documents_is_no_error_and_all_else_is(self) -> None:
        def answer(number: int) -> bytes | None:
            return [ORDER, SOLD_OUT, BUSY, None][number % 4]

        with serving(answer) as base:
            seen = simulate(base, "--users", "1", "--orders", "0..19")
        self.assertEqual((seen["ok"], seen["refused"]), (5, {"409": 5}))
        self.assertEqual(seen["errors"], {"503": 5, "broken": 5})

    def test_refusing_to_create_an_order_for_lack_of_stock_is_an_error(self) -> None:
        with serving(lambda _number: SOLD_OUT) as base:
            seen = simulate(base, "--users", "1", "--pause", "0.1", "--seconds", "0.25")
        self.assertEqual((seen["ok"], seen["errors"]), (0, {"409": 3}))

    def test_a_delayed_user_is_late_for_the_next_operation(self) -> None:
        def stalls_once(number: int) -> bytes:
            if number == 0:
                time.sleep(1.0)
            return ORDER

        with serving(stalls_once) as base:
            seen = simulate(base, "--users", "1", "--pause", "0.1", "--seconds", "2")
        self.assertEqual(seen["ok"], 20)
        # Ten operations were due in the second of the stall: their delays spread from 1 s to 0.
        self.assertGreater(seen["p95_ms"], 800)
        self.assertGreater(seen["mean_ms"], 200)

    def test_load_never_leaves_this_machine(self) -> None:
        for name in ("user_simulation", "contention"):
            done = subprocess.run([programs.example(name), "--base", "http://192.0.2.1:80"],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not on this machine", done.stderr)


if __name__ == "__main__":
    unittest.main()
