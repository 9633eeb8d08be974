"""The command `nucls`: arguments in, one clear message out; the work is done by the packages beside.

torch and other slow libraries are imported inside the commands, so that ``--help`` answers at once.
"""

from nucls_model.cli import demo, normalising, training, using  # noqa: F401 - they add their commands to the app
from nucls_model.cli.app import app, main

__all__ = ["app", "main"]
