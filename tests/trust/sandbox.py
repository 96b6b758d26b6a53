"""Commands in processes of their own, each forked from one that has imported all, with its time and memory."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

WALL_SECONDS = 60  # until a command is killed


class Outcome(NamedTuple):
    """Exit code, seconds of the processor, largest memory [bytes] and all output of a command."""

    code: int
    seconds: float
    memory: int
    output: str


class Sandbox:
    """Server of commands."""

    def __init__(self, folder: Path):
        plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        plain |= {"HOME": str(folder), "BOWEN_CACHE": str(folder / "cache"), "JAX_PLATFORMS": "cpu"}
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=plain,
        )  # fmt: skip

    def run(self, folder: Path, *arguments: object) -> Outcome:
        """Run a command of bowen in a folder."""
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(json.dumps([str(folder), *map(str, arguments)]) + "\n")
        self.server.stdin.flush()
        return Outcome(*json.loads(self.server.stdout.readline()))

    def close(self) -> None:
        """End the server."""
        self.server.communicate()


def _serve() -> None:
    import bowen.data
    import bowen.experiments.comparison
    import bowen.reporting.record_page  # noqa: F401
    from bowen.cli import app

    for line in sys.stdin:
        folder, *arguments = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for stream in (1, 2):
                os.dup2(writer, stream)
            os.chdir(folder)
            signal.alarm(WALL_SECONDS)
            code: Any = 70
            try:
                app(arguments, prog_name="bowen")
            except SystemExit as end:
                code = end.code
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code or 0)
        os.close(writer)
        with open(reader, "rb") as stream:
            output = stream.read().decode(errors="replace")
        _, status, used = os.wait4(child, 0)
        seconds = used.ru_utime + used.ru_stime
        print(json.dumps([os.waitstatus_to_exitcode(status), seconds, used.ru_maxrss * 1024, output]), flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    time.tzset()
    _serve()
