"""Fixtures of the cart: users, items and orders by number, created by the store's batch_init."""

import time
from dataclasses import dataclass

from tools.servers.console import Failure, say

from .targets import Server

# Credit of each user and stock of each item, at price 1: never used up by a measurement.
AMPLE = 1_000_000_000
_TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class Init:
    """Seconds of each batch_init."""

    users: float
    items: float
    orders: float

    @property
    def worst(self) -> float:
        """The slowest of the three."""
        return max(self.users, self.items, self.orders)


@dataclass
class Fixtures:
    """So many users, items and orders; each order is to be checked out at most once."""

    server: Server
    size: int
    # Different items in the orders, two to an order: 1 is the hot item, two of it in one line.
    items: int
    # Orders below this number have been checked out, or may have been.
    next: int = 0

    def create(self) -> Init:
        """Creates all of them, replacing existing ones."""
        return Init(self._timed("users", f"/payment/batch_init/{self.size}/{AMPLE}"),
                    self._timed("items", f"/stock/batch_init/{self.size}/{AMPLE}/1"),
                    self.create_orders())

    def create_orders(self) -> float:
        """Creates the orders again, none of them paid; returns the seconds it took."""
        self.next = 0
        return self._timed("orders", f"/orders/batch_init/{self.size}/{self.items}/{self.size}/1")

    def ensure_orders(self, orders: int) -> None:
        """Makes sure that so many orders are not checked out yet, at most as many as there are."""
        if self.size - self.next < min(orders, self.size):
            self.create_orders()

    def _timed(self, what: str, path: str) -> float:
        began = time.monotonic()
        status, body = self.server.ask("POST", path, _TIMEOUT_SECONDS)
        seconds = time.monotonic() - began
        if status != 200:
            raise Failure(f"POST {path} answered {status}: {body.decode(errors='replace')[:200]}")
        say(f"    batch_init of {self.size:,} {what}: {seconds:.2f} s")
        return seconds
