"""Compiler options of all kernels, in one place, and a word to the user when the first use compiles them."""

from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "boundscheck": False}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled `function`: cached on disk, without the interpreter lock, without fast-math."""
    return numba.njit(**_OPTIONS)(function)


class _CompileListener(event.Listener):
    """Says so, once in the life of the process, when the first of our kernels is not found in the cache."""

    def __init__(self) -> None:
        self.say: Callable[[str], None] | None = None

    def on_start(self, event: Any) -> None:
        if self.say is not None and "_kernels" in event.data["dispatcher"].py_func.__module__:
            self.say("compiling the numerical kernels: once, on first use; later runs find them in the cache")
            self.say = None

    def on_end(self, event: Any) -> None:
        """Nothing to say when a kernel is ready."""


_listener = _CompileListener()
_is_listening = False


def say_when_compiling(say: Callable[[str], None]) -> None:
    """Arrange for one message through `say` if any kernel has to be compiled; the first call in a process counts."""
    global _is_listening  # noqa: PLW0603 - one listener for the process
    if not _is_listening:
        _is_listening = True
        _listener.say = say
        event.register("numba:compile", _listener)
