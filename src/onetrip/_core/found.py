"""A record of where settings came from."""


class Found:
    """Record where each value came from, what was adjusted, and what is wrong, in the order it was met."""

    def __init__(self, where: dict[str, str] | None = None) -> None:
        self.where = where or {}
        self.adjusted: dict[str, str] = {}
        self.problems: list[str] = []
        self.variables: list[str] = []
        self.url_file: str | None = None
        """The file that held the URL: a password that was changed is changed there."""

    def called(self, name: str) -> str:
        """Return what the user calls a setting: its variable where one set it, else the argument's name."""
        where = self.where.get(name, "argument")
        return where.rpartition(" ")[2] if where.startswith(("environment ", ".env ")) else name
