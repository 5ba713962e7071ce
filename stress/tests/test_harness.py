"""What the harness concludes from samples."""

import os
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

from harness import clients, paths, plot, tables
from harness.clients import Sample
from harness.machine import Quietness
from harness.rounds import Part, Plan, Row
from tools.servers.console import Failure


def sample(achieved: float, **more: object) -> Sample:
    figures = {"mean_ms": 1.0, "p50_ms": 0.9, "p95_ms": 1.5, "p99_ms": 2.0, "max_ms": 9.0}
    return Sample(**{"client": "k6", "seconds": 1.0, "achieved": achieved, "sent": 100, "ok": 100,
                     "dropped": 0, "errors": {}, **figures, **more})


class Conclusions(unittest.TestCase):
    def test_a_rate_that_the_floor_misses_too_is_the_clients_limit(self) -> None:
        row = Row("GET", 10_000, sample(7_600), sample(7_700))
        self.assertEqual(row.notes(), ["client-bound: the floor was not reached either"])

    def test_a_rate_that_only_the_product_misses_is_its_own_limit(self) -> None:
        row = Row("GET", 10_000, sample(7_600), sample(10_000))
        self.assertEqual(row.notes(), ["short of the rate"])

    def test_other_load_on_the_machine_is_noted(self) -> None:
        row = Row("GET", 100, sample(100, others_busy=0.4), sample(100))
        self.assertEqual(row.notes(), ["noisy: others used 40% of the machine"])

    def test_rounds_are_medians_and_errors_are_sums(self) -> None:
        runs = [sample(10, errors={"500": 1}), sample(30, max_ms=50.0), sample(20)]
        middle = clients.middle(runs)
        self.assertEqual((middle.achieved, middle.max_ms, middle.sent), (20, 50.0, 300))
        self.assertEqual((middle.errors, round(middle.error_rate, 5)), ({"500": 1}, 0.00333))

    def test_only_full_speed_has_a_ratio(self) -> None:
        self.assertEqual(Row("GET", None, sample(50), sample(100)).ratio, 0.5)
        self.assertIsNone(Row("GET", 10, sample(50), sample(100)).ratio)

    def test_every_client_prints_what_a_sample_needs(self) -> None:
        line = ('{"client":"wrk","seconds":2.0,"achieved":5.0,"ok":9,"sent":10,"dropped":0,'
                '"errors":{"status":1,"broken":0},"last_id":7,"mean_ms":1,"p50_ms":1,"p95_ms":1,'
                '"p99_ms":1,"max_ms":1}')
        parsed = clients.parse("wrk", f"Running 2s test\n{line}\n")
        self.assertEqual((parsed.errors, parsed.last_id), ({"status": 1}, 7))
        with self.assertRaises(Failure):
            clients.parse("wrk", "unable to connect")

    def test_reading_alone_is_planned_where_writes_are_not_allowed(self) -> None:
        plan = Plan(100, 1, 1.0, 3, [1, 10_000], writes=False)
        self.assertEqual(plan.steps(), 2 * (2 + 3))
        self.assertEqual(list(plan.at_rates("get")), [(1, "k6"), (10_000, "openloop")])


SPIN = "import time; end = time.time() + 1\nwhile time.time() < end: pass"


class Quiet(unittest.TestCase):
    def test_a_process_that_is_not_a_child_counts_as_other_load(self) -> None:
        quiet = Quietness()
        # Its parent ends at once, so it is not a descendant of this process.
        subprocess.run(["sh", "-c", '"$0" -c "$1" & exit 0', sys.executable, SPIN], check=True)
        time.sleep(1.3)
        self.assertGreater(quiet.others() * len(os.sched_getaffinity(0)), 0.4)


class Addresses(unittest.TestCase):
    def test_load_never_leaves_this_machine(self) -> None:
        for good in ("http://127.0.0.1:3000/", "http://localhost:1", "http://[::1]:80"):
            paths.loopback(good)
        for bad in ("http://192.0.2.1:3000", "http://example.org:80", "http://127.0.0.1",
                    "https://127.0.0.1:443", "127.0.0.1:3000", "http://127.0.0.1:x"):
            with self.assertRaises(Failure, msg=bad):
                paths.loopback(bad)


class Pages(unittest.TestCase):
    rows = [Row("GET", rate, sample(rate), sample(rate)) for rate in (1, 1000)]

    def test_numbers_have_three_digits(self) -> None:
        shown = [tables.number(value) for value in (0.4821, 1.234, 12.34, 43210.4)]
        self.assertEqual(shown, ["0.482", "1.23", "12.3", "43,210"])

    def test_every_line_has_every_column(self) -> None:
        lines = tables.both(Part("embedded", []), self.rows[0])
        self.assertEqual({len(line) for line in lines}, {len(tables.HEAD)})

    def test_the_plot_is_a_picture(self) -> None:
        root = ElementTree.fromstring(plot.latency("title <&>", "subtitle", [Part("x", self.rows)]))
        curves = root.findall(".//{http://www.w3.org/2000/svg}polyline")
        self.assertEqual(len(curves), len(plot.SERIES) + len(plot.FLOOR_SERIES))
        self.assertEqual(plot.latency("", "", []), "")


if __name__ == "__main__":
    unittest.main()
