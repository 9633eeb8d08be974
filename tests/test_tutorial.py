"""The tutorials show what the program prints: commands and code are run in the order of the page."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crowdtruth.cli import app

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


def outputs(page: str, data: Path) -> list[tuple[str, str]]:
    """What the page shows and what comes out, for every command and every piece of code that is followed by a text."""
    blocks = re.findall(r"```(console|python|text)\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, object] = {}
    found = []
    printed = ""
    for language, block in blocks:
        if language == "console":
            command, _, shown = block.replace("\\\n", "").partition("\n")
            words = command.replace("$CROWDTRUTH_DATA", str(data)).split()
            assert words[:2] == ["$", "crowdtruth"]
            found.append((shown, CliRunner().invoke(app, words[2:]).stdout))
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as written:
                exec(compile(block, "tutorial", "exec"), names)
            printed = written.getvalue()
        else:
            found.append((block, printed))
    return found


@pytest.mark.data
@pytest.mark.parametrize("name", ["asthma.md", "how_many_raters.md"])
def test_tutorial__shows_the_real_output(
    name: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = outputs((TUTORIALS / name).read_text(encoding="utf-8"), data_dir.resolve())
    assert len(both) >= 3
    for shown, got in both:
        assert got == shown
