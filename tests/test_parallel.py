import os
import subprocess
import sys

import pytest

from crowdtruth import parallel
from crowdtruth.terminal import Bars, Lines, reporter_for


class Recorder:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items, description, total):
        self.lines.append(f"{description} {total}")
        yield from items

    def say(self, message):
        self.lines.append(message)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_parallel_map__keeps_the_order_of_its_items(jobs: int) -> None:
    assert parallel.parallel_map(lambda i: i * i, range(20), jobs=jobs) == [i * i for i in range(20)]


def test_parallel_map__refuses_no_workers() -> None:
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        parallel.parallel_map(abs, [1], jobs=0)


def test_parallel_map__raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        parallel.parallel_map(lambda i: 1 / i, [1, 0], jobs=2)


def test_reporting_to__receives_words_and_progress_until_the_block_ends() -> None:
    recorder = Recorder()
    with parallel.reporting_to(recorder):
        parallel.say("hello")
        parallel.parallel_map(abs, [1, 2], description="Counting")
    parallel.say("unheard")
    assert recorder.lines == ["hello", "Counting 2"]


def test_reporter_for__writes_plain_lines_into_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    import io

    reporter = reporter_for(io.StringIO())
    assert isinstance(reporter, Lines)
    assert list(reporter.track([1, 2], "Working", 2)) == [1, 2]
    assert capsys.readouterr().err == "Working: 2 …\n"


def test_working_on__ends_with_its_block_also_after_an_error() -> None:
    bars = Bars()
    with pytest.raises(KeyError), parallel.reporting_to(bars), parallel.working_on("cluster"):
        raise KeyError
    assert not bars._bars.tasks


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals as on POSIX")
def test_bars__show_work_within_work_on_a_terminal() -> None:
    code = (
        "from crowdtruth.parallel import reporting_to, track, working_on, say\n"
        "from crowdtruth.terminal import reporter_for\n"
        "import sys\n"
        "with reporting_to(reporter_for(sys.stderr)), working_on('infer'):\n"
        "    say('[note]')\n"
        "    print(sum(track(range(5), 'EM')))\n"
    )
    shown = output_on_a_terminal([sys.executable, "-c", code])
    assert "infer" in shown
    assert "EM" in shown
    assert "/5" in shown
    assert "[note]" in shown
    assert "10" in shown


def output_on_a_terminal(command: list[str]) -> str:
    """What a command writes to a pseudo-terminal."""
    leader, follower = os.openpty()
    process = subprocess.Popen(command, stdout=follower, stderr=follower)
    os.close(follower)
    written = bytearray()
    while True:
        try:
            part = os.read(leader, 1024)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not part:
            break
        written.extend(part)
    os.close(leader)
    assert process.wait() == 0
    return written.decode()
