"""A rush on too little (stress/rush.rs), and whether the answers and the store agree about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import audits, clients, processes, tools
from .audits import Audit
from .clients import SLACK
from .servers import Server

THINGS, USERS, ORDERS = 100, 1_000, 1_000
# Different items that the things are spread over.
SPREADS = (1, THINGS)
_SECONDS = 300.0
HEAD = ("DBMS", "programs", "round", "items", "seed", "rush, s", "succeeded", "refused",
        "other answers", "1: stock, answers", "2: credit, answers", "3: stock, paid orders",
        "4: credit, paid orders", "paid in the store", "right")


@dataclass(frozen=True)
class Rush:
    """What came of one rush."""

    items: int
    seed: int
    seconds: float
    succeeded: int
    # By 409.
    refused: int
    # By anything else: 5xx, no answer.
    others: int
    # By how much the stock and the credit in the store are not what the answers make them.
    stock_in_answers: int
    credit_in_answers: int
    # Items and users whose sums do not follow from the paid orders in the store.
    stock_in_store: int
    credit_in_store: int
    # Orders that this rush paid, as the store says.
    paid: int

    @property
    def right(self) -> bool:
        """Everything sold, nothing twice, and all accounts agree."""
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


def rush(servers: Sequence[Server], url: str, items: int, seed: int, paid_before: int) -> Rush:
    """One rush on programs that share a store, and the audit of that store."""
    bases = [word for server in servers for word in ("--base", server.base)]
    output = processes.run("rush", [
        tools.example("rush"), *bases, "--items", str(items), "--things", str(THINGS),
        "--users", str(USERS), "--orders", str(ORDERS), "--seed", str(seed)], _SECONDS + SLACK)
    return judge(clients.report_of("rush", output), audits.of(url), paid_before)


def judge(report: dict[str, Any], audit: Audit, paid_before: int) -> Rush:
    """Compares the answers with what the store shows."""
    orders, stock, credit = report["orders"], report["stock"], report["credit"]
    sold, charged = [0] * len(stock), [0] * len(credit)
    for user, item, answer in orders:
        sold[item] += answer == 200
        charged[user] += answer == 200
    answers = [answer for _, _, answer in orders]
    succeeded, refused = answers.count(200), answers.count(409)
    return Rush(
        len(stock), report["seed"], report["seconds"], succeeded, refused,
        len(answers) - succeeded - refused,
        _apart(report["stock_each"], sold, stock), _apart(1, charged, credit), audit.stock,
        audit.credit, audit.paid_orders - paid_before)


def _apart(each: int, gone: Sequence[int], left: Sequence[int]) -> int:
    """By how much what is left is not what is left over."""
    return sum(abs(each - a - b) for a, b in zip(gone, left, strict=True))
