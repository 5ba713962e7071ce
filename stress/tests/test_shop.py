"""What the harness concludes about the cart."""

import json
import unittest
import xml.etree.ElementTree as ElementTree
from argparse import Namespace

from harness import audits, backends, contests, dots, pgbench, rushes, shop, visits, walks
from harness.audits import Audit
from harness.backends import Database
from harness.beds import Bed, Init
from harness.clients import Sample
from harness.dots import Dot, Panel
from harness.servers import Server
from harness.shop import Found, Sizes
from harness.talk import Refusal
from harness.walks import Walk
from tests.test_backends import contestant
from tests.test_harness import sample

SHARES = {"store": 0.4, "database": 0.3, "clients": 0.2, "others": 0.0, "idle": 0.1}


class Asked(Server):
    """A server that takes everything and remembers it."""

    def __init__(self, status: int = 200) -> None:
        super().__init__("server", "http://127.0.0.1:1", None)
        self.status, self.paths = status, list[str]()

    def ask(self, method: str, path: str, timeout: float = 10) -> tuple[int, bytes]:
        self.paths.append(f"{method} {path}")
        return self.status, b"words"


class Beds(unittest.TestCase):
    def test_a_bed_has_enough_of_everything_but_orders(self) -> None:
        server = Asked()
        Bed(server, 100, 1).put()
        self.assertEqual(server.paths, ["POST /payment/batch_init/100/1000000000",
                                        "POST /stock/batch_init/100/1000000000/1",
                                        "POST /orders/batch_init/100/1/100/1"])

    def test_orders_are_made_anew_only_when_too_few_are_left(self) -> None:
        server = Asked()
        bed = Bed(server, 100, 100, next=40)
        bed.need(60)
        self.assertEqual((bed.next, server.paths), (40, []))
        bed.need(61)
        self.assertEqual((bed.next, len(server.paths)), (0, 1))

    def test_a_bed_that_is_refused_is_no_bed(self) -> None:
        with self.assertRaises(Refusal):
            Bed(Asked(503), 100, 100).put()


def walking(rate: float, calls: list[tuple[int, int, float]]) -> walks.Checkouts:
    """A client that checks out so many a second."""
    def run(first: int, last: int, seconds: float) -> Sample:
        calls.append((first, last, seconds))
        return sample(rate, last_id=min(last, first + int(rate * seconds) - 1))
    return run


class Walks(unittest.TestCase):
    def test_each_turn_begins_behind_the_last(self) -> None:
        calls: list[tuple[int, int, float]] = []
        walk = Walk(Bed(Asked(), 1_000, 1_000), 2.0, walking(100, calls))
        walk.probe()
        for _ in range(2):
            walk.ready()
            walk.turn(2.0)
        self.assertEqual([(first, seconds) for first, _, seconds in calls],
                         [(0, 1.0), (100, 2.0), (300, 2.0)])

    def test_where_orders_are_few_turns_are_short_and_begin_anew(self) -> None:
        calls: list[tuple[int, int, float]] = []
        server = Asked()
        walk = Walk(Bed(server, 1_000, 1_000), 10.0, walking(200, calls))
        walk.probe()
        walk.ready()
        walk.turn(10.0)
        self.assertEqual(calls[-1], (0, 999, 3.0))
        self.assertEqual(len(server.paths), 1)

    def test_orders_that_were_used_up_make_no_figure(self) -> None:
        walk = Walk(Bed(Asked(), 1_000, 1_000), 2.0, walking(5_000, []))
        with self.assertRaises(Refusal):
            walk.probe()

    def test_unfinished_checkouts_are_read_from_the_metrics(self) -> None:
        name = b"storefront_cart_unfinished_attempts"
        said = b"# HELP " + name + b" x\n" + name + b" 12\n"
        self.assertEqual(walks.unfinished(said), 12)
        with self.assertRaises(Refusal):
            walks.unfinished(b"# EOF\n")

    def test_pgbench_calls_the_stores_function_for_one_order(self) -> None:
        script = pgbench.checkout(7)
        self.assertIn("\\set id 7 + :turn * 16 + :client_id\n", script)
        self.assertIn("FROM cart_checkout(ARRAY[:id::text])", script)


def visit(pause: float = 5.0, **more: object) -> visits.Visit:
    act = {"answered": 90, "mean_ms": 1, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3, "max_ms": 4}
    report = {"client": "shoppers", "users": 100, "pause": pause, "refused": {"409": 10},
              "first_wave_seconds": 0.5, "acts": {"create": act, "find": act},
              **vars(sample(200)), **more}
    return visits.parse(json.dumps(report), SHARES)


class Visits(unittest.TestCase):
    def test_a_documented_refusal_is_no_failure(self) -> None:
        self.assertEqual(visit().failures, 0)
        self.assertEqual(visit(errors={"503": 2, "broken": 1}).failures, 3)

    def test_every_line_has_every_column(self) -> None:
        lines = visit().lines("x")
        self.assertEqual([line[2] for line in lines], ["all", "create", "find"])
        self.assertEqual({len(line) for line in lines}, {len(visits.HEAD)})

    def test_waiting_stands_beside_what_throughput_alone_would_make_it(self) -> None:
        self.assertIn("100 / throughput is 0.500 s", visit(0.0).waiting())


RUSH = {"seed": 1, "seconds": 0.4, "stock_each": 100, "stock": [0],
        "orders": [[user, 0, 200 if user < 100 else 409] for user in range(1_000)],
        "credit": [0] * 100 + [1] * 900}
AGREES = Audit(100, 0, 0)


class Rushes(unittest.TestCase):
    def test_all_is_right_where_answers_store_and_orders_agree(self) -> None:
        found = rushes.judge(RUSH, AGREES, 0)
        self.assertTrue(found.right)
        self.assertEqual((found.succeeded, found.refused, found.others), (100, 900, 0))
        self.assertEqual(len(found.line("x", 3, 1)), len(rushes.HEAD))

    def test_each_inconsistency_has_its_column(self) -> None:
        cases = {
            "stock_in_answers": (RUSH | {"stock": [2]}, AGREES, 2),
            "credit_in_answers": (RUSH | {"credit": [1] * 1_000}, AGREES, 100),
            "stock_in_store": (RUSH, Audit(100, 3, 0), 3),
            "credit_in_store": (RUSH, Audit(100, 0, 4), 4),
            "others": (RUSH | {"orders": RUSH["orders"][:-1] + [[999, 0, "broken"]]}, AGREES, 1),
            "paid": (RUSH, Audit(99, 0, 0), 99),
        }
        for name, (report, audit, count) in cases.items():
            with self.subTest(name):
                found = rushes.judge(report, audit, 0)
                self.assertEqual(getattr(found, name), count)
                self.assertFalse(found.right)

    def test_selling_too_little_is_wrong_too(self) -> None:
        orders = [[user, 0, 200 if user < 99 else 409] for user in range(1_000)]
        report = RUSH | {"orders": orders, "stock": [1], "credit": [0] * 99 + [1] * 901}
        self.assertFalse(rushes.judge(report, Audit(99, 0, 0), 0).right)

    def test_an_audit_counts_items_and_users_apart(self) -> None:
        said = {"unfinished": 0, "paid_orders": 7, "different": 3, "differences": [
            {"what": "credit of user 5"}, {"what": "stock of item 0"}, {"what": "sold of item 0"}]}
        self.assertEqual(audits.parse(json.dumps(said)), Audit(7, 2, 1))
        self.assertIsNone(audits.parse(json.dumps(said | {"unfinished": 1})))


def found(dbms: str) -> Found:
    store, alone = contestant("store", [80, 90, 70]), contestant("trait", [100, 100, 100], "store")
    return Found(Database(dbms, ""), Sizes(100_000, 3, 10, 100, 5, 60, 1), Init(1, 2, 3),
                 [store, alone], [store, alone], [visit(), visit(0.0)], Init(4, 5, 70),
                 [0.1, 31.0], Audit(5, 0, 0), {"version": "1"})


class Goals(unittest.TestCase):
    def test_cassandra_is_measured_by_what_the_trait_alone_does(self) -> None:
        goals = {goal.what: goal for goal in found("cassandra").goals()}
        self.assertEqual(goals["cassandra: checkouts, of the trait alone"].value, 0.8)
        self.assertFalse(goals["cassandra: settled after the last checkout"].met)
        self.assertEqual(goals["cassandra: batch_init, after traffic"].value, 70)

    def test_others_are_measured_by_their_rates(self) -> None:
        goals = {goal.what: goal for goal in found("embedded").goals()}
        self.assertEqual(goals["embedded: checkouts, two items"].wanted, 12_000)
        self.assertNotIn("embedded: checkouts, of the trait alone", goals)
        self.assertTrue(goals["embedded: users, 100, an act every 5 s: p99"].met)

    def test_an_unknown_server_has_none_but_that_nothing_fails(self) -> None:
        self.assertTrue(all("failures" in goal.what or "audit" in goal.what
                            for goal in found("base").goals()))

    def test_the_page_has_a_table_for_each_part(self) -> None:
        page = "\n\n".join(found("postgres").page())
        for head in (shop.INIT_HEAD, contests.HEAD, visits.HEAD):
            self.assertIn("| " + " | ".join(head) + " |", page)
        json.dumps(found("postgres").data())

    def test_what_runs_already_has_the_name_its_user_gives_it(self) -> None:
        for backend, names in (("all", ["base"]), ("postgres", ["postgres"])):
            self.assertEqual(backends.named(Namespace(base="http://x", backend=backend)), names)
        self.assertEqual(backends.named(Namespace(base=None, backend="all")), list(backends.NAMES))


class Dots(unittest.TestCase):
    def test_backends_stand_side_by_side(self) -> None:
        panels = shop.panels([found("embedded"), found("cassandra")])
        root = ElementTree.fromstring(dots.side_by_side("title <&>", "subtitle", panels))
        self.assertEqual(root.get("width"), str(2 * dots.WIDTH))
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}circle")), 16)

    def test_a_goal_is_drawn_where_nothing_was_reached(self) -> None:
        panel = Panel("a second", {"x": [Dot("store", 0, 0, 0, 400)]})
        self.assertIn(dots.GOAL, dots.side_by_side("t", "s", [panel]))


if __name__ == "__main__":
    unittest.main()
