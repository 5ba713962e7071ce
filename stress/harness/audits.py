"""`storefront audit`: whether stock, credit and paid orders of a store agree."""

import time
from dataclasses import dataclass

from tools.servers.console import Failure
from tools.servers.process import run

from . import clients, programs

_SECONDS = 900.0


@dataclass(frozen=True)
class Audit:
    """The result, once no checkout is unfinished."""

    paid_orders: int
    # Items and users whose balances differ.
    stock: int
    credit: int


def of(url: str) -> Audit:
    """Repeats the audit until no checkout is unfinished."""
    end = time.monotonic() + _SECONDS
    while True:
        output = run("storefront audit", [
            programs.binary("storefront"), "audit", "--format", "json", "--database-url", url],
            _SECONDS, good=(0, 1))
        if found := parse(output):
            return found
        if time.monotonic() > end:
            raise Failure(f"checkouts in the store are unfinished after {_SECONDS:.0f} s")
        time.sleep(0.2)


def parse(output: str) -> Audit | None:
    """The result in its JSON; None while a checkout is unfinished."""
    report = clients.report_of("storefront audit", output)
    if report["unfinished"]:
        return None
    stock = sum(" of item " in one["what"] for one in report["differences"])
    # The list may be cut off. Items are last, so the missing entries count as users.
    return Audit(report["paid_orders"], stock, report["different"] - stock)
