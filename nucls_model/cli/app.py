"""The application all commands belong to, and what has to happen before torch loads."""

import os
import signal
import sys
from typing import Annotated

import typer

app = typer.Typer(
    name="nucls",
    help="Labels of nuclei in; a trained detector, its evaluation and its predictions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Labels of nuclei in; a trained detector, its evaluation and its predictions out."""
    if show:
        from crowdtruth import __version__

        typer.echo(f"nucls {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the command; when told to end, it cleans up as after Ctrl-C."""
    # Threads that spin while they wait take the time of those that work: 4.7 s per update in place of 0.9 s on a busy
    # machine. The library reads this when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
