"""The tutorial shows what the program prints."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crowdtruth.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "tutorials" / "asthma.md"


def blocks(language: str) -> list[str]:
    """The code blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.data
def test_tutorial__shows_the_real_output(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown_command, _, shown_output = blocks("console")[0].replace("\\\n", "").partition("\n")
    words = shown_command.replace("$CROWDTRUTH_DATA", str(data_dir.resolve())).split()
    assert words[:2] == ["$", "crowdtruth"]
    result = CliRunner().invoke(app, words[2:])
    assert result.stdout == shown_output
    code = "\n".join(blocks("python"))
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "".join(blocks("text"))
