"""What tests of the command share: settings of a detector that trains in a second, a call, the message of a failure."""

from typing import Any

from typer.testing import CliRunner

from nucls_model.cli import app

TINY = """
configuration = "3"
scale_factor = 1
scale_jitter = 0.1
crop_size = 64
stages = 2
prior_sizes = [12, 24, 48]
rpn_samples = 16
rpn_pre_nms = 50
rpn_post_nms = 20
head_samples = 8
box_pool = 3
box_features = 8
mask_pool = 4
mask_convs = 1
mask_channels = 4
class_convs = 1
batch_size = 2
detector_updates = 2
classifier_updates = 1
"""


def command(*arguments: object) -> Any:
    """The command, on the CPU."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_of(result: Any) -> str:
    """The one message of a command that failed for its data or arguments."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    [message] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return message
