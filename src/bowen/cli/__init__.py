"""Command line: each command calls public functions and shows their results.

Results go to stdout, all else to stderr. Exit codes: 0 done; 1 data, a run or a model at fault; 2 the command or a
configuration at fault; 130 stopped by the user, 143 by SIGTERM.
"""

import gc

from bowen.cli import models as models
from bowen.cli import records as records
from bowen.cli import sites as sites
from bowen.cli import transfer as transfer
from bowen.cli.app import app as app
from bowen.cli.xla_flags import fuse_loops, fuse_more, use_cores


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # objects: tracing makes so many that looking for cycles takes a fifth of its time
    fuse_more()
    fuse_loops()
    use_cores()
    app()
