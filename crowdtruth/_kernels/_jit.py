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
    """Calls back once, when the first of our kernels is not found in the cache."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not self._said and "_kernels" in module:
            self._said = True
            self._say("compiling the numerical kernels: once, on first use; later runs find them in the cache")

    def on_end(self, event: Any) -> None:
        """Nothing to say when a kernel is ready."""


def say_when_compiling(say: Callable[[str], None]) -> None:
    """Arrange for one message through `say` if any kernel has to be compiled in this process."""
    event.register("numba:compile", _CompileListener(say))
