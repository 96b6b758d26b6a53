"""Downloads against a server on this machine that does what servers and networks do."""

import hashlib
import threading
import urllib.request

import pytest

from bowen.data.download import http
from bowen.data.download.http import download
from bowen.errors import ConfigError, DataError
from tests.data.server import Server

CONTENT = b"\x89HDF" + bytes(range(256)) * 400
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    server = Server()
    server.files["/a.nc"] = CONTENT
    yield server
    server.close()


@pytest.fixture
def get(server, tmp_path):
    lines, shown = [], []

    def get(path="/a.nc", **options):
        options = {"pause": 0.0, "report": lines.append, "watch": lambda *seen: shown.append(seen)} | options
        return download(f"{server.url}{path}", tmp_path / "new" / "a.nc", **options)

    get.lines, get.shown, get.folder = lines, shown, tmp_path / "new"
    return get


def ranges(server):
    return [headers.get("Range") for _, headers in server.requests]


def left(get):
    return sorted(path.name for path in get.folder.iterdir())


def test_a_file_comes_whole(server, get):
    path = get(sha256=HASH, begins=(b"\x89HDF",))
    assert path.read_bytes() == CONTENT and left(get) == ["a.nc"]
    assert get.shown[0] == ("a.nc", 0, len(CONTENT)) and get.shown[-1] == ("a.nc", len(CONTENT), len(CONTENT))
    assert get.lines == []


@pytest.mark.parametrize("fault", ["drop", "short"])
def test_what_breaks_off_goes_on(server, get, fault):
    server.faults = [(fault, 50_000), (fault, 20_000)]
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=50000-", "bytes=70000-"]
    assert "ended after 50000 of 102404 bytes; next attempt" in get.lines[0]


def test_a_later_call_goes_on(server, get):
    server.faults = [("drop", 50_000)] + [("status", 503)] * 9
    with pytest.raises(
        DataError, match=r"(?s)a.nc cannot be downloaded.\n  after 5 attempts: the server is busy.*continues"
    ):
        get()
    assert left(get) == ["a.nc.part", "a.nc.part.tag"]
    server.faults, server.requests = [], []
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == ["bytes=50000-"] and left(get) == ["a.nc"]


def test_ctrl_c_leaves_what_came(server, get):
    def stop(name, here, total):
        if here:
            raise KeyboardInterrupt

    server.faults = [("drop", 50_000)]
    with pytest.raises(KeyboardInterrupt):
        get(watch=stop)
    came = (get.folder / "a.nc.part").stat().st_size
    assert 0 < came <= 50_000
    server.requests = []
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={came}-"]


def test_a_file_that_changed_starts_over(server, get):
    server.faults = [("drop", 50_000)] + [("status", 503)] * 9
    with pytest.raises(DataError):
        get()
    server.faults, server.version, server.files["/a.nc"] = [], "two", CONTENT[::-1]
    assert get().read_bytes() == CONTENT[::-1]


def test_a_file_that_changed_and_shrank_starts_over(server, get):
    server.faults = [("drop", 50_000), ("status", 416)]
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=50000-", None]


def test_a_file_of_another_address_starts_over(server, get):
    server.faults, server.files["/b.nc"] = [("drop", 50_000)] + [("status", 503)] * 9, CONTENT[::-1]
    with pytest.raises(DataError):
        get()
    server.faults = []
    assert get("/b.nc").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_starts_over(server, get):
    server.ranges, server.faults = False, [("drop", 50_000)]
    assert get(sha256=HASH).read_bytes() == CONTENT


def test_a_server_without_marks_starts_over(server, get):
    server.marks, server.faults = False, [("drop", 50_000)]
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_the_date_stands_in_for_a_weak_tag(server, get):
    server.marks, server.faults = False, [("drop", 50_000)]
    server.headers = {"ETag": 'W/"one"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    get()
    assert server.requests[1][1]["If-Range"] == "Wed, 21 Oct 2015 07:28:00 GMT"


def test_another_piece_than_asked_for_starts_over(server, get):
    server.faults = [("drop", 50_000), ("other piece",)]
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=50000-", None]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, get, code):
    server.faults = [("status", code), ("status", code)]
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_pauses_grow_and_what_the_server_asks_for_is_kept(server, get, monkeypatch):
    pauses = []
    monkeypatch.setattr("bowen.data.download.http.time.sleep", pauses.append)
    server.faults = [("status", 503)] * 9
    with pytest.raises(DataError):
        get(pause=1.0)
    assert [0.5 * 2**k <= pause <= 1.5 * 2**k for k, pause in enumerate(pauses)] == [True] * 4
    server.faults, server.headers = [("status", 503)], {"Retry-After": "7"}
    get(pause=1.0)
    assert pauses[-1] == 7.0


def test_a_line_that_gets_somewhere_is_never_given_up(server, get):
    server.faults = [("drop", 10_000)] * 10
    assert get(sha256=HASH).read_bytes() == CONTENT


def test_a_wrong_hash_is_not_kept(server, get):
    with pytest.raises(DataError, match=r"not the expected file \(its hash differs\), and was discarded"):
        get(sha256="0" * 64)
    assert left(get) == [] and len(server.requests) == 1


def test_pieces_that_do_not_fit_are_fetched_once_more_as_one(server, get):
    server.faults = [("drop", 50_000)] + [("status", 503)] * 9
    with pytest.raises(DataError):
        get()
    part = get.folder / "a.nc.part"
    part.write_bytes(b"x" * 50_000)
    server.faults = []
    assert get(sha256=HASH).read_bytes() == CONTENT
    assert "the joined parts are not the expected file" in get.lines[-1]


def test_the_page_of_a_login_is_not_kept(server, get):
    server.faults = [("page",)]
    with pytest.raises(DataError, match=r"of another kind, perhaps a login page"):
        get(begins=(b"\x89HDF",))
    assert left(get) == []


@pytest.mark.parametrize(("code", "why"), [(404, "the name is wrong"), (403, "may need a login")])
def test_a_refusal_is_final_and_says_what_where_and_what_next(server, get, code, why):
    server.faults = [("status", code)]
    with pytest.raises(DataError) as caught:
        get()
    for part in (f"{server.url}/a.nc", str(code), why, "fix"):
        assert part in str(caught.value)
    assert len(server.requests) == 1 and left(get) == []


def test_an_old_file_stays_until_the_new_one_is_whole(server, get):
    get.folder.mkdir()
    (get.folder / "a.nc").write_bytes(b"old")
    server.faults = [("drop", 50_000)] + [("status", 503)] * 9
    with pytest.raises(DataError):
        get()
    assert (get.folder / "a.nc").read_bytes() == b"old"
    server.faults = []
    assert get().read_bytes() == CONTENT


def test_nobody_there(server, get):
    url = server.url
    server.close()
    with pytest.raises(DataError, match="no connection"):
        download(f"{url}/a.nc", get.folder / "a.nc", pause=0.0, report=get.lines.append)


def test_an_address_of_another_kind(tmp_path):
    with pytest.raises(ConfigError, match=r"is no address of a download.\n  fix: begin it with https"):
        download("file:///etc/hosts", tmp_path / "a")


def test_a_full_disk_is_told_and_not_tried_again(server, get, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bowen.data.download.http.os.replace", full)
    with pytest.raises(
        DataError, match=r"(?s)cannot be written .*No space left.*\n  fix: .* set BOWEN_CACHE to another folder"
    ):
        get()
    assert len(server.requests) == 1
    monkeypatch.undo()
    assert get(sha256=HASH).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        download(f"{server.url}/a.nc", tmp_path / "file" / "a.nc")


def test_two_at_once_bring_one_file(server, get):
    server.faults = [("slow", 0.3)]
    paths, threads = [], [threading.Thread(target=lambda: paths.append(get(sha256=HASH))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == CONTENT for path in paths] == [True] * 3
    assert len(server.requests) == 1 and left(get) == ["a.nc"]
    assert "Another process is fetching a.nc" in get.lines[0]


def test_what_is_sent_is_taken_as_it_is(server, get):
    get()
    assert server.requests[0][1]["Accept-Encoding"] == "identity"
    assert urllib.request.urlopen(f"{server.url}/a.nc").read() == CONTENT


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://localhost/a.nc", "data:,abc"])
def test_a_redirect_to_elsewhere_than_http_is_not_followed(server, get, to):
    server.headers, server.faults = {"Location": to}, [("status", 302)]
    with pytest.raises(DataError, match=r"302|redirects to"):
        get()
    assert left(get) == []


def test_a_redirect_from_https_to_http_is_not_followed():
    request = urllib.request.Request("https://example.org/a.nc")
    with pytest.raises(DataError, match=r"redirects to http://example.org/b.nc, which is not followed"):
        http._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/b.nc")


def test_a_redirect_within_http_is_followed(server, get):
    server.headers, server.faults = {"Location": f"{server.url}/a.nc"}, [("status", 302)]
    assert get("/moved.nc").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://localhost/a", "HTTPX://a", "/etc/hostname"])
def test_only_http_is_opened(tmp_path, url):
    with pytest.raises(ConfigError, match="no address of a download"):
        download(url, tmp_path / "a")
    with pytest.raises((OSError, ValueError, AttributeError)):
        http._make_opener().open(url).read()


def test_a_file_that_is_too_large_is_not_taken(server, get):
    with pytest.raises(DataError, match="more than 50000 bytes"):
        get(max_bytes=50_000)
    assert left(get) == []


def test_a_file_that_does_not_end_is_not_taken(server, get):
    server.faults = [("drop", 60_000)]
    with pytest.raises(DataError, match="more than 50000 bytes"):
        get(max_bytes=50_000)


def test_a_server_that_takes_too_long_is_left(server, get, monkeypatch):
    monkeypatch.setattr(http, "_MAX_SECONDS", -1.0)
    with pytest.raises(DataError, match="took more than"):
        get()
