"""Parts of plots as SVG, and logarithmic axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from pixel to pixel."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def picture(width: float, height: float, title: str, subtitle: str, parts: Sequence[str]) -> str:
    """The whole plot, with its title."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(16, 24, title, size=15, weight="bold"),
        text(16, 42, subtitle, fill="#666"),
        *parts, "</svg>"]) + "\n"


def text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start",
         fill: str = "#222", weight: str = "normal") -> str:
    """A text; `anchor` says which part of it is at x."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}" font-weight="{weight}">{escape(words)}</text>')


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """A straight line."""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width:g}"/>')


def circle(x: float, y: float, colour: str, fill: str) -> str:
    """A point."""
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{fill}" stroke="{colour}" '
            f'stroke-width="1.6"/>')


def is_power(value: float) -> bool:
    """Whether it is a power of ten."""
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every power of ten within a range."""
    steps = [mantissa * 10.0 ** power for power in range(-4, 7) for mantissa in (1, 2, 5)]
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]


def step_down(value: float) -> float:
    """The tick below."""
    return max(step for step in ticks(1e-4, 1e6) if step <= value)


def step_up(value: float) -> float:
    """The tick above."""
    return min(step for step in ticks(1e-4, 1e6) if step >= value)
