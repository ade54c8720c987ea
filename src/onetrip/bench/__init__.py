"""What ``onetrip bench`` measures: trips and latency of this application's own way to its database."""

from onetrip.bench.measure import Report, Unit, measure

__all__ = ["Report", "Unit", "measure"]
