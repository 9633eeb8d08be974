"""The application all commands belong to, and what has to happen before torch loads."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from crowdtruth.cli.app import clear_errors as clear_data_errors

app = typer.Typer(
    name="nucls",
    help="Labels of nuclei in; a trained detector, its evaluation and its predictions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EXTRA = ("torch", "safetensors", "skimage", "tifffile")  # what the extra "model" brings
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # torch's words, on a GPU and on CPUs


def clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with wrong data, a missing library or too little memory told in one message, exit 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _EXTRA:
                raise
            raise ValueError(
                f'a detector needs {error.name}, which is not installed: pip install "nucls[model]"'
            ) from error
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not any(words in str(error) for words in _OUT_OF_MEMORY):
                raise
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise ValueError(
                "the memory does not suffice: a smaller --tile, --crop, --scale or --batch needs less, --accumulate "
                f"parts a batch ({reason})"
            ) from error

    return clear_data_errors(wrapped)


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
