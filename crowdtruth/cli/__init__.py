"""The command `crowdtruth`: arguments in, one clear message out; the work is done by `pipeline`.

Slow libraries are imported inside the commands, so that ``--help`` answers at once.
"""

from crowdtruth.cli import running, statistics, studies  # noqa: F401 - they add their commands to the app
from crowdtruth.cli.app import app, main

__all__ = ["app", "main"]
