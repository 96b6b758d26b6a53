"""Download of a file over HTTP that resumes after an interruption, in the same call or in the next.

The received part is kept next to the target in `.part`, with the server's tag of its version. The rest is requested
only for the same version, and the file gets its name when its size, hash and kind are right.

Pooch cannot resume a download, wait for as long as a busy server asks, or recognize a login page, and would only
compare the hash and rename the file here. Of the HTTP clients the standard library has all that resuming needs, and
never decompresses a response, which would change the positions in the file.
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
from typing import IO, Any

from bowen.data.download.checksums import compute_sha256
from bowen.data.download.samples import print_to_stderr
from bowen.data.folders import cache_write_error
from bowen.errors import ConfigError, DataError

DownloadProgress = Callable[
    [str, int, int | None], None
]  # the file's name, bytes here, bytes in all if the server says

_MAX_ATTEMPTS = 5  # in a row without a new byte
_TIMEOUT = 30.0  # s without a response
_MAX_PAUSE = 60.0  # s
_MAX_SECONDS = 6.0 * 3600.0  # of a call
_MAX_BYTES = 1 << 32  # of a file
_TEMPORARY_ERRORS = (408, 425, 429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """Failure that may be temporary; `after` is the pause that the server asks for [s]."""

    def __init__(self, what: str, after: float = 0.0):
        super().__init__(what)
        self.after = after


@dataclass
class _Part:
    """Partial file, open at its end, and the file with the tag of its version."""

    file: IO[bytes]
    tag: Path
    url: str
    max_bytes: int
    deadline: float  # by the clock of `time.monotonic`

    @property
    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def read_tag(self) -> str:
        """Return the tag of the version, if it has the same address and may be continued."""
        with contextlib.suppress(OSError, ValueError):
            url, version = self.tag.read_text(encoding="utf-8").splitlines()
            return version if url == self.url else ""
        return ""

    def start_over(self, version: str = "") -> None:
        self.file.truncate(0)  # first, so that old bytes never have a new tag
        self.tag.write_text(f"{self.url}\n{version}\n", encoding="utf-8")

    def check_limits(self, size: int) -> None:
        """Refuse a file of too many bytes, and a server that is too slow."""
        if size > self.max_bytes:
            self.start_over()
            raise DataError(
                self.url, f"the file has more than {self.max_bytes} bytes", fix="get it with a browser, if it is right"
            )
        if time.monotonic() > self.deadline:
            raise DataError(
                self.url,
                f"the download took more than {_MAX_SECONDS / 3600.0:.0f} h",
                fix="try again later with the same command, which continues the download",
            )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to addresses of HTTP, and not from an encrypted connection to one that is not."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://") and not (newurl.startswith("http://") and req.type == "http"):
            raise DataError(
                req.full_url, f"the server redirects to {newurl}, which is not followed", fix="check the address"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _make_opener() -> urllib.request.OpenerDirector:
    """Make an opener of HTTP alone; that of `urlopen` also opens files and FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    begins: Collection[bytes] = (),
    max_bytes: int = _MAX_BYTES,
    report: Callable[[str], None] = print_to_stderr,
    watch: DownloadProgress = lambda name, received, total: None,
    pause: float = 1.0,
) -> Path:
    """Download a file, continuing an interrupted download.

    Args:
        url: The address.
        target: Path of the file; missing folders are made. An old file stays until the new one is complete.
        sha256: Its hash, if known.
        begins: Possible first bytes, if known, to detect a login page instead of the file.
        max_bytes: Size of the largest file to take.
        report: Called with progress messages.
        watch: Called with the name, the bytes received and the total bytes during the download.
        pause: Wait before the second attempt [s]; doubled before each further one, plus or minus half.

    Returns:
        The target.

    Raises:
        ConfigError: The address is not one of HTTP.
        DataError: The server does not have the file, does not answer, sends another file or a larger one, redirects to
            elsewhere than HTTP, or takes more than six hours; or the disk is full. The received part stays for the next
            call, unless it is wrong.
    """
    if not url.startswith(("https://", "http://")):
        raise ConfigError(url, "is no address of a download", fix="begin it with https:// or http://")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock_part(target, report) as file:
            if file is None:
                return target
            part = _Part(
                file, target.with_name(f"{target.name}.part.tag"), url, max_bytes, time.monotonic() + _MAX_SECONDS
            )
            verify = functools.partial(_verify, part, target.name, sha256, tuple(begins))
            _retry(part, target.name, verify, report, watch, pause)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, target)
            part.tag.unlink(missing_ok=True)
    except OSError as problem:
        raise cache_write_error(target, problem) from problem
    return target


@contextlib.contextmanager
def _lock_part(target: Path, report: Callable[[str], None]) -> Iterator[IO[bytes] | None]:
    """Open the partial file for this process only; None if another process completed it meanwhile."""
    path = target.with_name(f"{target.name}.part")
    while True:
        with path.open("ab") as file:
            _lock(file, lambda: report(f"Another process is fetching {target.name}; waiting for it."))
            if _is_at(file, path):
                try:
                    yield file
                except BaseException:  # remove an empty part, even after Ctrl-C
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
    except ImportError:  # not on Windows, where parallel downloads are not excluded
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Check that an open file still has its name, and was not renamed by the process that locked it before."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _retry(
    part: _Part,
    name: str,
    verify: Callable[[bool], None],
    report: Callable[[str], None],
    watch: DownloadProgress,
    pause: float,
) -> None:
    """Retry until the file is complete, or until several attempts in a row bring no new byte."""
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
            if failures == _MAX_ATTEMPTS:
                raise DataError(
                    part.url,
                    f"{name} cannot be downloaded",
                    details={f"after {failures} attempts": str(problem)},
                    fix="try again later with the same command, which continues the download",
                ) from problem
            wait = min(max(problem.after, pause * 2.0 ** (failures - 1) * random.uniform(0.5, 1.5)), _MAX_PAUSE)
            report(f"{name}: {problem}; next attempt in {wait:.0f} s.")
            time.sleep(wait)


def _attempt(part: _Part, name: str, watch: DownloadProgress) -> bool:
    """Download the missing part; return True if an earlier part was continued."""
    received, tag = part.size, part.read_tag()
    if received and not tag:
        part.start_over()
        received = 0
    headers = {"User-Agent": "bowen"} | ({"Range": f"bytes={received}-", "If-Range": tag} if received else {})
    with _request(urllib.request.Request(part.url, headers=headers), part) as response:
        total = response.length  # None if the server does not send it
        if response.status == 206:
            sent = re.match(r"bytes (\d+)-\d+/(\d+)$", response.headers.get("Content-Range", ""))
            if not sent or int(sent[1]) != received:
                part.start_over()
                raise _Interrupted("the server sent another range than requested")
            total = int(sent[2])
        else:
            part.start_over(_get_tag(response))
        continued = response.status == 206
        received = part.size
        watch(name, received, total)
        part.check_limits(total or 0)
        for chunk in _chunks(response):
            part.check_limits(received + len(chunk))
            part.file.write(chunk)
            received += len(chunk)
            watch(name, received, total)
    if total is not None and received != total:
        raise _Interrupted(f"the connection ended after {received} of {total} bytes")
    return continued


def _request(request: urllib.request.Request, part: _Part) -> http.client.HTTPResponse:
    try:
        return _make_opener().open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as problem:
        problem.close()
        if problem.code == 416:  # the file is now shorter than the received part
            part.start_over()
            raise _Interrupted("the file has changed") from problem
        if problem.code in _TEMPORARY_ERRORS:
            after = problem.headers.get("Retry-After", "")
            raise _Interrupted(f"the server is busy ({problem})", float(after) if after.isdigit() else 0.0) from problem
        cause = "the file may have moved, or the name is wrong" if problem.code in (404, 410) else "it may need a login"
        raise DataError(
            part.url,
            f"the server answers {problem}; {cause}",
            fix="open the address in a browser; for another server see `bowen fetch --help`",
        ) from problem
    except (OSError, http.client.HTTPException) as problem:
        cause = getattr(problem, "reason", problem)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DataError(
                part.url,
                f"the server's certificate is not trusted on this machine ({cause.verify_message})",
                fix="set SSL_CERT_FILE to the certificates of your network or of your Python",
            ) from problem
        raise _Interrupted(f"no connection ({_describe_cause(cause)})") from problem


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(1 << 18)
        except (OSError, http.client.HTTPException) as problem:
            raise _Interrupted(f"the connection broke ({_describe_cause(problem)})") from problem
        if not chunk:
            return
        yield chunk


def _describe_cause(problem: object) -> str:
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def _get_tag(response: http.client.HTTPResponse) -> str:
    """Return the tag of a version of a file; weak tags are not valid for ranges, so the date replaces them."""
    tag = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _verify(part: _Part, name: str, sha256: str | None, begins: tuple[bytes, ...], continued: bool) -> None:
    path = Path(part.file.name)
    with path.open("rb") as file:
        first = file.read(max(map(len, begins), default=0))
    fault = ""
    if sha256 is not None and compute_sha256(path) != sha256:
        fault = "its hash differs"
    elif begins and not first.startswith(begins):
        fault = "it is of another kind, perhaps a login page or a page of a proxy"
    if not fault:
        return
    part.start_over()
    if continued:  # perhaps parts of two versions: download the whole file again
        raise _Interrupted(f"the joined parts are not the expected file ({fault})")
    raise DataError(
        part.url,
        f"the downloaded {name} is not the expected file ({fault}), and was discarded",
        fix="try again; if it fails again, open the address in a browser",
    )
