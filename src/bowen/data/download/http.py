"""A file over HTTP, whole or not at all: a download that breaks off goes on, in this call or in the next.

What has come so far lies beside the target, in `.part`, with the server's mark of the version it is of; the rest is
asked for only of the same version, and the file takes its name when its size, hash and kind are right. The standard
library is enough for that: what it lacks, no other client has either, and it never unpacks what it is sent, which
would put the positions in doubt.
"""

import contextlib
import functools
import http.client
import os
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bowen.data.download.samples import sha256_of, to_stderr
from bowen.errors import ConfigError, DataError

Watch = Callable[[str, int, int | None], None]  # the file's name, bytes here, bytes in all if the server says

_ATTEMPTS = 5  # in a row without a new byte
_TIMEOUT = 30.0  # s without a sign of life
_LONGEST_PAUSE = 60.0  # s
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """What may go better next time; `after` is the pause the server asks for [s]."""

    def __init__(self, what: str, after: float = 0.0):
        super().__init__(what)
        self.after = after


@dataclass
class _Part:
    """What there is of a file, open at its end, and the mark of the version that it is of."""

    file: IO[bytes]
    tag: Path
    url: str

    @property
    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def mark(self) -> str:
        """The version, if it is the same address's and may be continued."""
        with contextlib.suppress(OSError, ValueError):
            url, mark = self.tag.read_text(encoding="utf-8").splitlines()
            return mark if url == self.url else ""
        return ""

    def start_over(self, mark: str = "") -> None:
        self.file.truncate(0)  # first, so that old bytes never stand under a new mark
        self.tag.write_text(f"{self.url}\n{mark}\n", encoding="utf-8")


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    begins: Collection[bytes] = (),
    report: Callable[[str], None] = to_stderr,
    watch: Watch = lambda name, here, all_of_it: None,
    pause: float = 1.0,
) -> Path:
    """Bring a file, going on where an earlier call stopped.

    Args:
        url: Where it is.
        target: What it shall be called; folders are made. An old file stays until the new one is whole.
        sha256: Its hash, if known.
        begins: What it may begin with, if known: a login page in its place is then found out.
        report: Takes lines for people.
        watch: Takes the name, the bytes that are here and the bytes in all, as they come.
        pause: Before the second attempt [s]; doubled before each further one, give or take half.

    Returns:
        The target.

    Raises:
        ConfigError: The address is none of HTTP.
        DataError: The server does not have it, or does not answer, or what it sends is something else, or the disk
            cannot take it. What had come stays for the next call, unless it was wrong.
    """
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"`{url}` is no address to fetch from: it has to begin with https:// or http://.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, report) as file:
            if file is None:
                return target
            part = _Part(file, target.with_name(f"{target.name}.part.tag"), url)
            verify = functools.partial(_verify, part, target.name, sha256, tuple(begins))
            _persist(part, target.name, verify, report, watch, pause)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, target)
            part.tag.unlink(missing_ok=True)
    except OSError as problem:
        raise DataError(
            f"{target} cannot be written ({problem}). Free some space, or set BOWEN_CACHE to another folder."
        ) from problem
    return target


@contextlib.contextmanager
def _alone(target: Path, report: Callable[[str], None]) -> Iterator[IO[bytes] | None]:
    """The partial file, for this process only; None if another one made it whole while this one waited."""
    path = target.with_name(f"{target.name}.part")
    while True:
        with path.open("ab") as file:
            _lock(file, lambda: report(f"Another process is fetching {target.name}; waiting for it."))
            if _is_at(file, path):
                try:
                    yield file
                except BaseException:  # an empty part is of no use, even after Ctrl-C
                    if file.seek(0, os.SEEK_END) == 0:
                        path.unlink(missing_ok=True)
                        path.with_name(f"{path.name}.tag").unlink(missing_ok=True)
                    raise
                return
        if target.exists():
            yield None
            return


def _lock(file: IO[bytes], waiting: Callable[[], None]) -> None:
    """Lock a file until it is closed."""
    try:
        import fcntl
    except ImportError:  # there are systems without; two processes at once are then not kept apart
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file still has its name, or was given another by the process that had it before."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _persist(
    part: _Part,
    name: str,
    verify: Callable[[bool], None],
    report: Callable[[str], None],
    watch: Watch,
    pause: float,
) -> None:
    """Try until it is whole, and give up when attempts in a row bring nothing new."""
    failures, most = 0, part.size
    while True:
        try:
            continued = _attempt(part, name, watch)
            part.file.flush()
            verify(continued)
            return
        except _Interrupted as problem:
            failures = 1 if part.size > most else failures + 1
            most = max(most, part.size)
            if failures == _ATTEMPTS:
                raise DataError(
                    f"{name} did not come from {part.url}\n"
                    f"  after {failures} attempts: {problem}\n"
                    "  fix: try again later, with the same command; what has come stays and is continued"
                ) from problem
            wait = min(max(problem.after, pause * 2.0 ** (failures - 1) * random.uniform(0.5, 1.5)), _LONGEST_PAUSE)
            report(f"{name}: {problem}; trying again in {wait:.0f} s.")
            time.sleep(wait)


def _attempt(part: _Part, name: str, watch: Watch) -> bool:
    """Ask for what is missing and take it; says whether it was a continuation."""
    here, mark = part.size, part.mark()
    if here and not mark:
        part.start_over()
        here = 0
    headers = {"User-Agent": "bowen"} | ({"Range": f"bytes={here}-", "If-Range": mark} if here else {})
    with _answer(urllib.request.Request(part.url, headers=headers), part) as response:
        total = response.length  # None where the server does not say
        if response.status == 206:
            sent = re.match(r"bytes (\d+)-\d+/(\d+)$", response.headers.get("Content-Range", ""))
            if not sent or int(sent[1]) != here:
                part.start_over()
                raise _Interrupted("the server sent another piece than was asked for")
            total = int(sent[2])
        else:
            part.start_over(_mark(response))
        continued = response.status == 206
        here = part.size
        watch(name, here, total)
        for chunk in _chunks(response):
            part.file.write(chunk)
            here += len(chunk)
            watch(name, here, total)
    if total is not None and here != total:
        raise _Interrupted(f"the connection ended after {here} of {total} bytes")
    return continued


def _answer(request: urllib.request.Request, part: _Part) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as problem:
        problem.close()
        if problem.code == 416:  # it has become shorter than what is here
            part.start_over()
            raise _Interrupted("the file has changed") from problem
        if problem.code in _PASSING:
            after = problem.headers.get("Retry-After", "")
            raise _Interrupted(f"the server is busy ({problem})", float(after) if after.isdigit() else 0.0) from problem
        where = "It may have moved, or the name is wrong" if problem.code in (404, 410) else "It may want a login"
        raise DataError(
            f"{part.url}\n"
            f"  the server answers: {problem}. {where}.\n"
            "  fix: look at the address in a browser; another server can be named, see `bowen fetch --help`"
        ) from problem
    except (OSError, http.client.HTTPException) as problem:
        cause = getattr(problem, "reason", problem)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DataError(
                f"{part.url}: the server's certificate is not trusted here ({cause.verify_message}).\n"
                "  fix: set SSL_CERT_FILE to the certificates of your network or of your Python"
            ) from problem
        raise _Interrupted(f"no connection ({_words(cause)})") from problem


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(1 << 18)
        except (OSError, http.client.HTTPException) as problem:
            raise _Interrupted(f"the connection broke ({_words(problem)})") from problem
        if not chunk:
            return
        yield chunk


def _words(problem: object) -> str:
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def _mark(response: http.client.HTTPResponse) -> str:
    """What tells one version of a file from the next; weak tags may not ask for a range."""
    tag = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _verify(part: _Part, name: str, sha256: str | None, begins: tuple[bytes, ...], continued: bool) -> None:
    path = Path(part.file.name)
    with path.open("rb") as file:
        first = file.read(max(map(len, begins), default=0))
    fault = ""
    if sha256 is not None and sha256_of(path) != sha256:
        fault = "its hash differs"
    elif begins and not first.startswith(begins):
        fault = "it is of another kind, perhaps the page of a login or of a proxy"
    if not fault:
        return
    part.start_over()
    if continued:  # the server may have joined two versions: once more, in one piece
        raise _Interrupted(f"the joined pieces are not the file ({fault})")
    raise DataError(
        f"{name} came from {part.url}, but it is not the file we know ({fault}), so it was not kept.\n"
        "  fix: try again, and if it stays so look at the address in a browser"
    )
