"""The prices of prices.toml: each with its unit, its date and how well it is known."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from infra.errors import BadConfiguration

FILE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True)
class Price:
    """Dollars per unit; ``tiers`` are (units a month up to which it holds, dollars), the last without end."""

    name: str
    tiers: tuple[tuple[float, float], ...]
    unit: str
    on: date
    source: str
    evidence: Literal["aws", "other", "none"]

    def of(self, units: float) -> float:
        """What so many units a month cost, dollars."""
        total, begin = 0.0, 0.0
        for end, usd in self.tiers:
            total += usd * max(0.0, min(units, end) - begin)
            begin = end
        return total


def read(path: Path = FILE) -> dict[str, Price]:
    """All prices, by name.

    Raises:
        BadConfiguration: the file is missing, or an entry lacks something or says it in another way.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _price(name, it) for name, it in entries.items() if isinstance(it, dict)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfiguration(f"The prices in {path} cannot be used: {error}") from error


def _price(name: str, entry: dict[str, object]) -> Price:
    tiers = entry["tiers"] if "tiers" in entry else [[math.inf, entry["usd"]]]
    if not isinstance(tiers, list):
        raise TypeError(f"the tiers of {name} are no list")
    steps = tuple((float(end), float(usd)) for end, usd in tiers)
    ends = [end for end, _ in steps]
    if ends != sorted(set(ends)) or ends[-1] != math.inf or any(usd < 0 for _, usd in steps):
        raise ValueError(f"the tiers of {name} do not ascend to inf, or a price is below 0")
    on, evidence = entry["on"], entry["evidence"]
    if not isinstance(on, date):
        raise TypeError(f"{name} has no date")
    if evidence not in ("aws", "other", "none"):
        raise ValueError(f"the evidence of {name} is {evidence!r}")
    return Price(name, steps, str(entry["unit"]), on, str(entry["source"]), evidence)
