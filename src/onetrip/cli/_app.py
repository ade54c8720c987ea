"""The Typer application that every command hangs on."""

import typer

app = typer.Typer(
    name="onetrip",
    help="The database layer for Python on serverless Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Make `onetrip` a group even while it has one command."""
