"""Many checkouts at once of too few things (stress/contention.rs): do answers and store agree?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.servers import process

from . import audits, clients, programs
from .audits import Audit
from .clients import SLACK
from .targets import Server

THINGS, USERS, ORDERS = 100, 1_000, 1_000
# Over how many different items the things are spread.
SPREADS = (1, THINGS)
_SECONDS = 300.0
HEAD = ("DBMS", "programs", "round", "items", "seed", "run, s", "succeeded", "refused",
        "other answers", "1: stock, answers", "2: credit, answers", "3: stock, paid orders",
        "4: credit, paid orders", "paid in the store", "right")


@dataclass(frozen=True)
class ContentionRun:
    """The outcome of one run."""

    items: int
    seed: int
    seconds: float
    succeeded: int
    # With 409.
    refused: int
    # Any other outcome: 5xx, no answer.
    others: int
    # Difference between stock and credit in the store and what the answers imply.
    stock_in_answers: int
    credit_in_answers: int
    # Items and users whose balance does not follow from the paid orders in the store.
    stock_in_store: int
    credit_in_store: int
    # Orders that this run paid, according to the store.
    paid: int

    @property
    def right(self) -> bool:
        """Everything was sold, nothing twice, and all balances agree."""
        wrong = (self.others, self.stock_in_answers, self.credit_in_answers, self.stock_in_store,
                 self.credit_in_store)
        return not any(wrong) and self.succeeded == self.paid == THINGS

    def line(self, dbms: str, programs: int, number: int) -> list[str]:
        """Its line in the table."""
        figures = (self.succeeded, self.refused, self.others, self.stock_in_answers,
                   self.credit_in_answers, self.stock_in_store, self.credit_in_store, self.paid)
        return [dbms, f"{programs}", f"{number}", f"{self.items}", f"{self.seed}",
                f"{self.seconds:.2f}", *[f"{figure:,}" for figure in figures],
                "yes" if self.right else "NO"]


def run(servers: Sequence[Server], url: str, items: int, seed: int, paid_before: int
        ) -> ContentionRun:
    """One run against programs that share a store, and the audit of that store."""
    bases = [word for server in servers for word in ("--base", server.base)]
    output = process.run("contention", [
        programs.example("contention"), *bases, "--items", str(items), "--things", str(THINGS),
        "--users", str(USERS), "--orders", str(ORDERS), "--seed", str(seed)], _SECONDS + SLACK)
    return evaluate(clients.report_of("contention", output), audits.of(url), paid_before)


def evaluate(report: dict[str, Any], audit: Audit, paid_before: int) -> ContentionRun:
    """Compares the answers with what the store shows."""
    orders, stock, credit = report["orders"], report["stock"], report["credit"]
    sold, charged = [0] * len(stock), [0] * len(credit)
    for user, item, answer in orders:
        sold[item] += answer == 200
        charged[user] += answer == 200
    answers = [answer for _, _, answer in orders]
    succeeded, refused = answers.count(200), answers.count(409)
    return ContentionRun(
        len(stock), report["seed"], report["seconds"], succeeded, refused,
        len(answers) - succeeded - refused,
        _difference(report["stock_each"], sold, stock), _difference(1, charged, credit),
        audit.stock, audit.credit, audit.paid_orders - paid_before)


def _difference(each: int, gone: Sequence[int], left: Sequence[int]) -> int:
    """By how much what is left differs from what should be left."""
    return sum(abs(each - a - b) for a, b in zip(gone, left, strict=True))
