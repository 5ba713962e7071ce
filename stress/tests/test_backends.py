"""What the harness reads from the databases' programs, and what it concludes from it."""

import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

from harness import (backends, baselines, cassandra_data, comparison, pgbench, plot, postgres_data,
                     seeds, tables)
from harness.comparison import Goal, Variant
from harness.loading import Loads
from harness.rounds import Part, Row
from harness.seeds import Games, Stamp
from tests.test_harness import sample
from tools.servers.console import Failure

GAMES = Games(20_000, 1)
SAID = """\
20000 games in 0.4 s, 50000 rows/s; the store takes up 9000 bytes
checksum 0123abc of 20000 games
"""
PGBENCH = """\
pgbench (15.14, server 18.6)
number of transactions actually processed: 52339
number of failed transactions: 3 (0.006%)
latency average = 0.306 ms
initial connection time = 21.4 ms
tps = 52340.812 (without initial connection time)
"""


class Seeds(unittest.TestCase):
    def test_a_stamp_says_what_was_stored_and_read_back(self) -> None:
        stamp = seeds.parse(SAID, GAMES)
        self.assertEqual((stamp.rows, stamp.checksum, stamp.seconds), (20_000, "0123abc", 0.4))
        self.assertEqual(Stamp.of(stamp.text()), stamp)

    def test_a_load_that_lost_games_fails(self) -> None:
        for wrong in (SAID.replace("checksum 0123abc of 20000", "checksum 0123abc of 19999"),
                      SAID.replace("20000 games in", "19999 games in"), "", SAID.split("\n")[0]):
            with self.assertRaises(Failure, msg=wrong):
                seeds.parse(wrong, GAMES)

    def test_all_backends_must_have_the_same_games(self) -> None:
        stamp = seeds.parse(SAID, GAMES)
        other = Stamp(stamp.rows, stamp.seed, "another", 1.0, "x")
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(seeds.paths, "STORES", Path(folder)):
            seeds.agree(GAMES, stamp)
            seeds.agree(GAMES, stamp)
            with self.assertRaises(Failure):
                seeds.agree(GAMES, other)
            seeds.agree(Games(20_000, 1, reseed=True), other)


class Programs(unittest.TestCase):
    def test_pgbench_is_a_client_like_others(self) -> None:
        seen = pgbench.parse(PGBENCH, 1.0)
        self.assertEqual((seen.achieved, seen.ok, seen.sent, seen.mean_ms),
                         (52340.812, 52_339, 52_342, 0.306))
        self.assertEqual(seen.errors, {"failed": 3})
        with self.assertRaises(Failure):
            pgbench.parse("connection refused", 1.0)

    def test_pgbench_does_the_work_of_the_store(self) -> None:
        self.assertIn("\\set id random(1, 7)", pgbench.select(7))
        for column in ("game_name", "description", "tags"):
            self.assertIn(column, pgbench.select(7))
            self.assertIn(column, pgbench.insert())
        self.assertNotIn("game_id", pgbench.insert())

    def test_sql_texts_are_quoted(self) -> None:
        self.assertEqual(postgres_data.quoted("it's"), "'it''s'")
        self.assertEqual(postgres_data.database(GAMES), "games_20000_seed_1")

    def test_backends_come_in_the_order_of_the_table(self) -> None:
        self.assertEqual(backends.chosen("all"), ["embedded", "postgres", "cassandra"])
        self.assertEqual(backends.chosen("cassandra,embedded"), ["embedded", "cassandra"])
        with self.assertRaises(Failure):
            backends.chosen("oracle")


class KeptNodes(unittest.TestCase):
    def test_a_copy_of_a_node_shares_its_tables_and_nothing_that_changes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            node, kept = Path(folder, "node"), Path(folder, "kept")
            for name in ("data/t/bti-1-Data.db", "data/t/bti-1-Statistics.db", "commitlog/1.log",
                         "conf/cassandra.yaml"):
                (node / name).parent.mkdir(parents=True, exist_ok=True)
                (node / name).write_text(name)
            (node / "pid").write_text("1")
            cassandra_data.linked(node, kept)
            self.assertTrue((kept / "data/t/bti-1-Data.db").samefile(node / "data/t/bti-1-Data.db"))
            for name in ("data/t/bti-1-Statistics.db", "commitlog/1.log"):
                self.assertFalse((kept / name).samefile(node / name))
            self.assertFalse((kept / "conf").exists())
            cassandra_data.clear(node)
            self.assertEqual([path.name for path in node.iterdir()], ["conf"])
            self.assertEqual((kept / "data/t/bti-1-Data.db").read_text(), "data/t/bti-1-Data.db")


def variant(name: str, rates: list[float], reference: str = "") -> Variant:
    shares = {"store": 0.4, "database": 0.3, "clients": 0.2, "others": 0.0, "idle": 0.1}
    return Variant(name, lambda _seconds: sample(0), reference,
                      samples=[sample(rate) for rate in rates], shares=[shares] * len(rates))


class Goals(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_rounds(self) -> None:
        store, bench = variant("store", [120, 60, 130]), variant("bench", [100, 30, 100])
        self.assertEqual(comparison.round_ratio(store, bench), 1.3)

    def test_goals_have_two_directions(self) -> None:
        self.assertTrue(Goal("fast", 8_000, 8_000).met)
        self.assertFalse(Goal("fast", 7_999, 8_000).met)
        self.assertTrue(Goal("short", 1.5, 1.5, at_most=True).met)
        self.assertFalse(Goal("short", 1.6, 1.5, at_most=True).met)
        self.assertIn("| NO |", comparison.goals_table([Goal("fast", 1, 2)]))

    def test_fewer_games_are_extrapolated_and_the_note_says_so(self) -> None:
        goal = baselines.ten_million(Loads("seed", 1_000_000, [61.0]))
        self.assertEqual((goal.value, goal.met), (610, False))
        self.assertIn("extrapolated from 1,000,000 games", goal.note)
        whole = baselines.ten_million(Loads("seed", 10_000_000, [1.0]))
        self.assertNotIn("extrapolated", whole.note)

    def test_every_line_has_every_column(self) -> None:
        lines = comparison.lines("x", [variant("a", [100]), variant("b", [50], "a")])
        self.assertEqual({len(line) for line in lines}, {len(comparison.HEAD)})
        self.assertEqual([line[4] for line in lines], ["", "50%"])

    def test_the_largest_share_is_the_bottleneck(self) -> None:
        self.assertEqual(baselines.bottleneck(variant("a", [1])),
                         "most of the machine: store, 40%; idle 10%")


class SideBySide(unittest.TestCase):
    rows = [Row(route, rate, sample(rate), sample(rate)) for route in ("GET", "POST")
            for rate in (1, 1000)]

    def parts(self) -> list[Part]:
        return [Part(name, self.rows, {"writes": f"as {name} does"})
                for name in ("embedded", "postgres", "cassandra")]

    def test_the_plot_has_a_column_for_each_backend(self) -> None:
        root = ElementTree.fromstring(plot.latency("title", "subtitle", self.parts()))
        self.assertEqual(root.get("width"), str(3 * plot.WIDTH))
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}g")), 6)
        one = ElementTree.fromstring(plot.latency("title", "subtitle", self.parts()[:1]))
        self.assertEqual(one.get("height"), str(plot.HEIGHT))

    def test_the_durability_of_writes_is_noted_with_the_figures(self) -> None:
        page = tables.markdown("t", {"rows": 1}, self.parts(), "p.svg")
        self.assertIn("Writes on cassandra: as cassandra does.", page)
        self.assertEqual(page.count("| cassandra | GET |"), 2)

    def test_a_proxy_is_compared_with_the_store(self) -> None:
        part = Part("nginx", [Row("GET", None, sample(50), sample(100))], under="store directly")
        lines = tables.both(part, part.rows[0])
        self.assertEqual((lines[0][-1], lines[1][0]), ("50% of store directly", "store directly"))


if __name__ == "__main__":
    unittest.main()
