"""The application all commands belong to, and what they share: errors in one message, options from arguments."""

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="crowdtruth",
    help="Many raters' marks on images in; located objects, inferred labels and rater quality out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with wrong data or arguments told in one message, exit 1; anything else is a bug and shows itself."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from crowdtruth.parallel import reporting_to
        from crowdtruth.terminal import reporter_for

        try:
            with reporting_to(reporter_for(sys.stderr)):
                command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("interrupted; files already written are whole, and the same command continues", err=True)
            raise typer.Exit(130) from None
        except (ValueError, OSError) as error:
            if os.environ.get("CROWDTRUTH_DEBUG"):
                raise
            typer.echo(f"error: {words_of(error)}", err=True)
            raise typer.Exit(1) from None

    return wrapped


def words_of(error: ValueError | OSError) -> str:
    """An error as a sentence; the system's own errors with the file first and without their number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def takes(*groups: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes the options of these groups beside its own arguments, and hands them on as keywords."""
    options = {name: kind for group in groups for name, kind in group.items()}

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> None:
            command(*args, **kwargs)

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in options.items()
        ]
        parameters = [*own, *added]
        wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapped

    return with_options


def chosen_options(arguments: Mapping[str, Any]) -> Any:
    """`RunOptions` from the options of a command: its preset, its configuration file and every field it offers."""
    from crowdtruth.options import make_options

    flags: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()
    }
    preset, config = flags.pop("preset"), flags.pop("config")
    if flags.get("start") is not None:
        flags["start"] = number_or_word(flags["start"])
    return make_options(preset=preset, config=config, flags=flags)


def scheduler_address(backend: str | None, address: str | None) -> str | None:
    """Where a Dask cluster is, if the work goes to one.

    Raises
    ------
    ValueError
        If the backend is unknown, or backend and address do not fit together.
    """
    if backend not in (None, "threads", "dask"):
        raise ValueError(f"--backend is threads or dask, got {backend!r}")
    if (backend == "dask") != (address is not None):
        raise ValueError("--backend dask and --address belong together: the address is that of the Dask scheduler")
    return address


def number_or_word(text: str) -> float | str:
    """A number where `text` is one, else `text`."""
    try:
        return float(text)
    except ValueError:
        return text


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Many raters' marks on images in; located objects, inferred labels and rater quality out."""
    if show:
        from crowdtruth import __version__

        typer.echo(f"crowdtruth {__version__} (distribution nucls)")
        raise typer.Exit


def main() -> None:
    """Entry point of the command; when told to end, it cleans up as after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
