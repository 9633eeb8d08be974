"""Compiler options of all kernels, in one place, and a word to the user when the first use compiles them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "boundscheck": False}


def _checksum_of_all_kernels() -> str:
    """One checksum of every file beside this one."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


_SOURCES = _checksum_of_all_kernels()


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled `function`: cached on disk, without the interpreter lock, without fast-math.

    Numba looks only at a kernel's own file to tell whether its cached code is out of date, and would go on using code
    into which an older version of another file's kernel was compiled. Here a change in any kernel file renews all.
    """
    compiled = numba.njit(**_OPTIONS)(function)
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:  # None with the compiler off, and where nothing can be cached
        cache_file._source_stamp = (cache_file._source_stamp, _SOURCES)
    return compiled


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
