"""Simulated users, many at once: stress/user_simulation.rs."""

from dataclasses import dataclass
from typing import Any

from tools.servers.process import run

from . import clients, programs, tables
from .clients import SLACK, Sample
from .comparison import Shares
from .targets import Server

HEAD = ("DBMS", "users", "operation", "a second", "answered", "refused", "failures", "mean ms",
        "p50 ms", "p95 ms", "p99 ms", "max ms")


@dataclass
class Simulation:
    """What a simulation measured."""

    users: int
    # Seconds between two operations of a user.
    pause: float
    sample: Sample
    # Refusals that the route documents, by status; they are not failures.
    refused: dict[str, int]
    # Latencies of each operation.
    acts: dict[str, dict[str, float]]
    # Until each user's first operation was answered.
    first_wave_seconds: float | None
    shares: dict[str, float]

    @property
    def failures(self) -> int:
        """All that is neither success nor a documented refusal."""
        return sum(self.sample.errors.values())

    @property
    def who(self) -> str:
        """The users in words."""
        pause = f"an operation every {self.pause:g} s" if self.pause else "without a pause"
        return f"{self.users:,}, {pause}"

    def lines(self, dbms: str) -> list[list[str]]:
        """Its lines in the table: all operations, then each."""
        whole = [dbms, self.who, "all", tables.number(self.sample.achieved),
                 f"{self.sample.ok + sum(self.refused.values()):,}",
                 f"{sum(self.refused.values()):,}", f"{self.failures:,}",
                 *_times(vars(self.sample))]
        each = self.acts.items() if len(self.acts) > 1 else ()
        return [whole, *[[dbms, self.who, name, "", f"{act['answered']:,}", "", "", *_times(act)]
                         for name, act in each]]

    def waiting(self) -> str:
        """How long a checkout takes, and how long it would by the throughput alone."""
        rate = self.sample.achieved
        expected = f"{self.users / rate:.3f} s" if rate else "unknown"
        first = f"{self.first_wave_seconds:.3f} s" if self.first_wave_seconds else "unknown"
        return (f"each waited {self.sample.mean_ms / 1e3:.3f} s in the mean, {self.users:,} / "
                f"throughput is {expected}; the first {self.users:,} were done after {first}")


def _times(figures: dict[str, Any]) -> list[str]:
    return [tables.number(figures[key]) for key in clients.LATENCIES]


def simulate(server: Server, users: int, pause: float, seconds: float, items: int, seed: int,
          orders: tuple[int, int] | None = None) -> Simulation:
    """Runs users for so long. With orders, the first and the last, they only check those out."""
    shares = Shares(server)
    chosen = ["--orders", f"{orders[0]}..{orders[1]}"] if orders else []
    output = run("user_simulation", [
        programs.example("user_simulation"), "--base", server.base, "--users", str(users),
        "--pause", str(pause), "--seconds", str(seconds), "--items", str(items),
        "--seed", str(seed), *chosen], seconds + SLACK)
    return parse(output, shares.seen())


def parse(output: str, shares: dict[str, float]) -> Simulation:
    """What the client prints."""
    report = clients.report_of("user_simulation", output)
    return Simulation(report["users"], report["pause"], clients.parse("user_simulation", output),
                 report["refused"], report["acts"], report["first_wave_seconds"], shares)
