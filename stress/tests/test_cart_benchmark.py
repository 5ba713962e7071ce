"""What the harness concludes about the cart."""

import json
import unittest
import xml.etree.ElementTree as ElementTree
from argparse import Namespace

from harness import (audits, backends, cart_benchmark, checkout_load, comparison, contention,
                     dot_plot, pgbench, user_simulation)
from harness.audits import Audit
from harness.backends import Database
from harness.cart_benchmark import CartResult, Sizes
from harness.checkout_load import CheckoutLoad
from harness.clients import Sample
from harness.dot_plot import Dot, Panel
from harness.fixtures import Fixtures, Init
from harness.targets import Server
from tests.test_backends import variant
from tests.test_harness import sample
from tools.servers.console import Failure

SHARES = {"store": 0.4, "database": 0.3, "clients": 0.2, "others": 0.0, "idle": 0.1}


class Asked(Server):
    """A server that accepts all requests and records them."""

    def __init__(self, status: int = 200) -> None:
        super().__init__("server", "http://127.0.0.1:1", None)
        self.status, self.paths = status, list[str]()

    def ask(self, method: str, path: str, timeout: float = 10) -> tuple[int, bytes]:
        self.paths.append(f"{method} {path}")
        return self.status, b"words"


class FixturesOfTheCart(unittest.TestCase):
    def test_fixtures_have_enough_of_everything_but_orders(self) -> None:
        server = Asked()
        Fixtures(server, 100, 1).create()
        self.assertEqual(server.paths, ["POST /payment/batch_init/100/1000000000",
                                        "POST /stock/batch_init/100/1000000000/1",
                                        "POST /orders/batch_init/100/1/100/1"])

    def test_orders_are_created_again_only_when_too_few_are_left(self) -> None:
        server = Asked()
        fixtures = Fixtures(server, 100, 100, next=40)
        fixtures.ensure_orders(60)
        self.assertEqual((fixtures.next, server.paths), (40, []))
        fixtures.ensure_orders(61)
        self.assertEqual((fixtures.next, len(server.paths)), (0, 1))

    def test_refused_fixtures_fail_the_measurement(self) -> None:
        with self.assertRaises(Failure):
            Fixtures(Asked(503), 100, 100).create()


def client(rate: float, calls: list[tuple[int, int, float]]) -> checkout_load.Checkouts:
    """A client that checks out so many a second."""
    def run(first: int, last: int, seconds: float) -> Sample:
        calls.append((first, last, seconds))
        return sample(rate, last_id=min(last, first + int(rate * seconds) - 1))
    return run


class Loads(unittest.TestCase):
    def test_each_run_begins_behind_the_last(self) -> None:
        calls: list[tuple[int, int, float]] = []
        load = CheckoutLoad(Fixtures(Asked(), 1_000, 1_000), 2.0, client(100, calls))
        load.probe()
        for _ in range(2):
            load.prepare()
            load.run(2.0)
        self.assertEqual([(first, seconds) for first, _, seconds in calls],
                         [(0, 1.0), (100, 2.0), (300, 2.0)])

    def test_with_few_orders_runs_are_short_and_orders_are_created_again(self) -> None:
        calls: list[tuple[int, int, float]] = []
        server = Asked()
        load = CheckoutLoad(Fixtures(server, 1_000, 1_000), 10.0, client(200, calls))
        load.probe()
        load.prepare()
        load.run(10.0)
        self.assertEqual(calls[-1], (0, 999, 3.0))
        self.assertEqual(len(server.paths), 1)

    def test_running_out_of_orders_is_a_failure(self) -> None:
        load = CheckoutLoad(Fixtures(Asked(), 1_000, 1_000), 2.0, client(5_000, []))
        with self.assertRaises(Failure):
            load.probe()

    def test_unfinished_checkouts_are_read_from_the_metrics(self) -> None:
        name = b"storefront_cart_unfinished_attempts"
        said = b"# HELP " + name + b" x\n" + name + b" 12\n"
        self.assertEqual(checkout_load.unfinished(said), 12)
        with self.assertRaises(Failure):
            checkout_load.unfinished(b"# EOF\n")

    def test_pgbench_calls_the_stores_function_for_one_order(self) -> None:
        script = pgbench.checkout(7)
        self.assertIn("\\set id 7 + :turn * 16 + :client_id\n", script)
        self.assertIn("FROM cart_checkout(ARRAY[:id::text], ARRAY[0::bigint])", script)


def simulation(pause: float = 5.0, **more: object) -> user_simulation.Simulation:
    act = {"answered": 90, "mean_ms": 1, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3, "max_ms": 4}
    report = {"client": "user_simulation", "users": 100, "pause": pause, "refused": {"409": 10},
              "first_wave_seconds": 0.5, "acts": {"create": act, "find": act},
              **vars(sample(200)), **more}
    return user_simulation.parse(json.dumps(report), SHARES)


class Simulations(unittest.TestCase):
    def test_a_documented_refusal_is_no_failure(self) -> None:
        self.assertEqual(simulation().failures, 0)
        self.assertEqual(simulation(errors={"503": 2, "broken": 1}).failures, 3)

    def test_every_line_has_every_column(self) -> None:
        lines = simulation().lines("x")
        self.assertEqual([line[2] for line in lines], ["all", "create", "find"])
        self.assertEqual({len(line) for line in lines}, {len(user_simulation.HEAD)})

    def test_waiting_times_are_compared_with_the_throughput(self) -> None:
        self.assertIn("100 / throughput is 0.500 s", simulation(0.0).waiting())


OUTCOME = {"seed": 1, "seconds": 0.4, "stock_each": 100, "stock": [0],
        "orders": [[user, 0, 200 if user < 100 else 409] for user in range(1_000)],
        "credit": [0] * 100 + [1] * 900}
AGREES = Audit(100, 0, 0)


class Contention(unittest.TestCase):
    def test_a_run_is_right_if_answers_store_and_orders_agree(self) -> None:
        found = contention.evaluate(OUTCOME, AGREES, 0)
        self.assertTrue(found.right)
        self.assertEqual((found.succeeded, found.refused, found.others), (100, 900, 0))
        self.assertEqual(len(found.line("x", 3, 1)), len(contention.HEAD))

    def test_each_inconsistency_has_its_column(self) -> None:
        cases = {
            "stock_in_answers": (OUTCOME | {"stock": [2]}, AGREES, 2),
            "credit_in_answers": (OUTCOME | {"credit": [1] * 1_000}, AGREES, 100),
            "stock_in_store": (OUTCOME, Audit(100, 3, 0), 3),
            "credit_in_store": (OUTCOME, Audit(100, 0, 4), 4),
            "others": (OUTCOME | {"orders": OUTCOME["orders"][:-1] + [[999, 0, "broken"]]},
                       AGREES, 1),
            "paid": (OUTCOME, Audit(99, 0, 0), 99),
        }
        for name, (report, audit, count) in cases.items():
            with self.subTest(name):
                found = contention.evaluate(report, audit, 0)
                self.assertEqual(getattr(found, name), count)
                self.assertFalse(found.right)

    def test_selling_too_little_is_wrong_too(self) -> None:
        orders = [[user, 0, 200 if user < 99 else 409] for user in range(1_000)]
        report = OUTCOME | {"orders": orders, "stock": [1], "credit": [0] * 99 + [1] * 901}
        self.assertFalse(contention.evaluate(report, Audit(99, 0, 0), 0).right)

    def test_an_audit_counts_items_and_users_separately(self) -> None:
        said = {"unfinished": 0, "paid_orders": 7, "different": 3, "differences": [
            {"what": "credit of user 5"}, {"what": "stock of item 0"}, {"what": "sold of item 0"}]}
        self.assertEqual(audits.parse(json.dumps(said)), Audit(7, 2, 1))
        self.assertIsNone(audits.parse(json.dumps(said | {"unfinished": 1})))


def found(dbms: str) -> CartResult:
    store, alone = variant("store", [80, 90, 70]), variant("trait", [100, 100, 100], "store")
    return CartResult(Database(dbms, ""), Sizes(100_000, 3, 10, 100, 5, 60, 1), Init(1, 2, 3),
                 [store, alone], [store, alone], [simulation(), simulation(0.0)], Init(4, 5, 70),
                 [0.1, 31.0], Audit(5, 0, 0), {"version": "1"})


class Goals(unittest.TestCase):
    def test_the_goal_on_cassandra_is_a_ratio_to_the_trait_alone(self) -> None:
        goals = {goal.what: goal for goal in found("cassandra").goals()}
        self.assertEqual(goals["cassandra: checkouts, of the trait alone"].value, 0.8)
        self.assertFalse(goals["cassandra: settled after the last checkout"].met)
        self.assertEqual(goals["cassandra: batch_init, after traffic"].value, 70)

    def test_the_goals_on_other_backends_are_rates(self) -> None:
        goals = {goal.what: goal for goal in found("embedded").goals()}
        self.assertEqual(goals["embedded: checkouts, two items"].wanted, 12_000)
        self.assertNotIn("embedded: checkouts, of the trait alone", goals)
        self.assertTrue(goals["embedded: users, 100, an operation every 5 s: p99"].met)

    def test_the_only_goal_of_an_unknown_server_is_that_nothing_fails(self) -> None:
        self.assertTrue(all("failures" in goal.what or "audit" in goal.what
                            for goal in found("base").goals()))

    def test_the_page_has_a_table_for_each_part(self) -> None:
        page = "\n\n".join(found("postgres").page())
        for head in (cart_benchmark.INIT_HEAD, comparison.HEAD, user_simulation.HEAD):
            self.assertIn("| " + " | ".join(head) + " |", page)
        json.dumps(found("postgres").data())

    def test_a_running_server_has_the_name_that_its_user_gives_it(self) -> None:
        for backend, names in (("all", ["base"]), ("postgres", ["postgres"])):
            self.assertEqual(backends.named(Namespace(base="http://x", backend=backend)), names)
        self.assertEqual(backends.named(Namespace(base=None, backend="all")), list(backends.NAMES))


class DotPlots(unittest.TestCase):
    def test_backends_are_side_by_side(self) -> None:
        panels = cart_benchmark.panels([found("embedded"), found("cassandra")])
        root = ElementTree.fromstring(dot_plot.side_by_side("title <&>", "subtitle", panels))
        self.assertEqual(root.get("width"), str(2 * dot_plot.WIDTH))
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}circle")), 16)

    def test_a_goal_is_drawn_even_without_a_figure(self) -> None:
        panel = Panel("a second", {"x": [Dot("store", 0, 0, 0, 400)]})
        self.assertIn(dot_plot.GOAL, dot_plot.side_by_side("t", "s", [panel]))


if __name__ == "__main__":
    unittest.main()
