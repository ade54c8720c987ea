"""A record of where settings came from."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Found:
    """Record where each value came from, what was adjusted, and what is wrong, in the order it was met."""

    where: dict[str, str] = field(default_factory=dict)
    adjusted: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    url_file: str | None = None
    """The file that held the URL: a password that was changed is changed there."""

    def called(self, name: str) -> str:
        """Return what the user calls a setting: its variable where one set it, else the argument's name."""
        where = self.where.get(name, "argument")
        return where.rpartition(" ")[2] if where.startswith(("environment ", ".env ")) else name
