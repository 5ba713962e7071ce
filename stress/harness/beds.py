"""Test beds of the cart: users, items and orders by number, put there by the store's batch_init."""

import time
from dataclasses import dataclass

from .servers import Server
from .talk import Refusal, say

# Credit of each user and stock of each item, at price 1: nobody ever runs out.
MUCH = 1_000_000_000
_PATIENCE = 1800.0


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
class Bed:
    """So many users, items and orders; each order is to be checked out at most once."""

    server: Server
    size: int
    # What each order has two of: 1 is the hot item, two of it in one line.
    items: int
    # Orders below this one have been checked out, or may have been.
    next: int = 0

    def put(self) -> Init:
        """Everything anew."""
        return Init(self._timed("users", f"/payment/batch_init/{self.size}/{MUCH}"),
                    self._timed("items", f"/stock/batch_init/{self.size}/{MUCH}/1"),
                    self.put_orders())

    def put_orders(self) -> float:
        """The orders anew, none of them paid; the seconds it took."""
        self.next = 0
        return self._timed("orders", f"/orders/batch_init/{self.size}/{self.items}/{self.size}/1")

    def need(self, orders: int) -> None:
        """Makes sure that so many orders have not been checked out, as far as the bed has them."""
        if self.size - self.next < min(orders, self.size):
            self.put_orders()

    def _timed(self, what: str, path: str) -> float:
        began = time.monotonic()
        status, body = self.server.ask("POST", path, _PATIENCE)
        seconds = time.monotonic() - began
        if status != 200:
            raise Refusal(f"POST {path} answered {status}: {body.decode(errors='replace')[:200]}")
        say(f"    batch_init of {self.size:,} {what}: {seconds:.2f} s")
        return seconds
