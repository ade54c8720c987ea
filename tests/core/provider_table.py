"""The table of providers' URLs, read from ``provider_urls.txt``."""

from dataclasses import dataclass
from pathlib import Path

PASSWORD = "p%40ss%2Fw%25rd"
RAW = "p@ss/w%rd"


@dataclass(frozen=True)
class Row:
    """Hold one URL and what must be told of it."""

    provider: str
    kind: str
    libpq: str
    asyncpg: str
    direct: str
    pooled: str
    url: str

    def __str__(self) -> str:
        return self.url.replace(PASSWORD, "***")


LINES = Path(__file__).with_name("provider_urls.txt").read_text().replace("PASSWORD", PASSWORD).splitlines()
ROWS = [Row(*line.split()) for line in LINES if line and not line.startswith("#")]
