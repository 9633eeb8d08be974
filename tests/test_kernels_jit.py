"""Compiled code is cached, and is never older than the sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crowdtruth._kernels import _jit

CALLEE = "from kernels._jit import kernel\n\n\n@kernel\ndef part(x):\n    return x * {factor}\n"
CALLER = (
    "from kernels._jit import kernel\nfrom kernels.callee import part\n\n\n"
    "@kernel\ndef whole(x):\n    return part(x) + 1.0\n"
)
PROGRAM = (
    "from kernels._jit import say_when_compiling\nsay_when_compiling(print)\n"
    "from kernels.caller import whole\nprint(whole(1.0))\n"
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two kernels in two files, with our compiler options."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(_jit.__file__, folder / "_jit.py")
    (folder / "callee.py").write_text(CALLEE.format(factor="2.0"))
    (folder / "caller.py").write_text(CALLER)
    return tmp_path


def run(package: Path) -> list[str]:
    """What a new process prints."""
    env = {
        **os.environ,
        "PYTHONPATH": str(package),
        "NUMBA_CACHE_DIR": str(package / "cache"),
        "NUMBA_DISABLE_JIT": "0",
    }
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def test_kernel__is_renewed_when_a_kernel_it_calls_changes_in_another_file(package: Path) -> None:
    assert run(package)[-1] == "3.0"
    (package / "kernels" / "callee.py").write_text(CALLEE.format(factor="5.0"))
    assert run(package)[-1] == "6.0"


def test_say_when_compiling__speaks_on_first_use_and_not_from_the_cache(package: Path) -> None:
    module = package / "kernels" / "_jit.py"
    module.write_text(module.read_text().replace('"_kernels"', '"kernels"'))
    assert "compiling the numerical kernels" in run(package)[0]
    assert run(package) == ["3.0"]
