"""What is wrong between this application and its database, and which line to change.

``onetrip doctor`` is the same from a shell.
"""

from onetrip.doctor.examine import examine
from onetrip.doctor.explain import Explained, explain
from onetrip.doctor.findings import Finding, Level, Report, Step

__all__ = ["Explained", "Finding", "Level", "Report", "Step", "examine", "explain"]
