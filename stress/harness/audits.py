"""`storefront audit`: whether stock and credit in a store follow from its paid orders."""

import time
from dataclasses import dataclass

from tools.servers.console import Failure
from tools.servers.process import run

from . import clients, programs

_SECONDS = 900.0


@dataclass(frozen=True)
class Audit:
    """What it found, nothing being under way."""

    paid_orders: int
    # Users and items whose sums differ.
    stock: int
    credit: int


def of(url: str) -> Audit:
    """Asks until what was answered is settled."""
    end = time.monotonic() + _SECONDS
    while True:
        output = run("storefront audit", [
            programs.binary("storefront"), "audit", "--format", "json", "--database-url", url],
            _SECONDS, good=(0, 1))
        if found := parse(output):
            return found
        if time.monotonic() > end:
            raise Failure(f"something in the store is unfinished after {_SECONDS:.0f} s")
        time.sleep(0.2)


def parse(output: str) -> Audit | None:
    """What it prints as JSON; None while something is unfinished."""
    report = clients.report_of("storefront audit", output)
    if report["unfinished"]:
        return None
    stock = sum(" of item " in one["what"] for one in report["differences"])
    # Users come first in the list, so where it was cut off the rest is not known to be items.
    return Audit(report["paid_orders"], stock, report["different"] - stock)
