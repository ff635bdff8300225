"""What a month costs: quantities times prices, per service, and what stands behind the sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.economy.prices import Price
from infra.economy.usage import Quantity
from infra.errors import BadConfiguration


@dataclass(frozen=True)
class Line:
    """One line of the bill, dollars a month."""

    service: str
    purpose: str
    units: float
    price: Price
    usd: float


@dataclass(frozen=True)
class Bill:
    """A month, and the jobs that it is for."""

    lines: tuple[Line, ...]
    jobs: float

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)

    @property
    def usd_per_job(self) -> float:
        return self.usd / self.jobs if self.jobs else 0.0

    @property
    def by_service(self) -> dict[str, float]:
        """Dollars per service, the dearest first."""
        sums: dict[str, float] = {}
        for line in self.lines:
            sums[line.service] = sums.get(line.service, 0.0) + line.usd
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def unproven(self) -> list[Price]:
        """Prices in this bill that no page was found for."""
        used = {line.price.name: line.price for line in self.lines if line.usd}
        return [price for price in used.values() if price.evidence == "none"]


def bill(quantities: Iterable[Quantity], prices: Mapping[str, Price], jobs: float) -> Bill:
    """Every quantity at its price.

    Raises:
        BadConfiguration: a quantity has no price.
    """
    lines = []
    for it in quantities:
        if it.price not in prices:
            raise BadConfiguration(f"There is no price {it.price} for {it.service}, {it.purpose}.")
        price = prices[it.price]
        lines.append(Line(it.service, it.purpose, it.units, price, price.of(it.units)))
    return Bill(tuple(lines), jobs)
