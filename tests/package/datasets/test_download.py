"""Fetching a published file: a real server on 127.0.0.1, a cache in a temporary folder."""

import base64
import gzip
import hashlib
import io
import os
import re
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from lowrank_helpers.datasets import _download, load
from lowrank_helpers.datasets._download import Source, fetch, members
from lowrank_helpers.datasets.catalogue import SOURCES


class Server:
    """Serves `files` (path → bytes) on 127.0.0.1; a path in `cut` breaks off half-way; counts the requests.

    A path in `answers` is answered by what stands there, a function of the handler.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                outer.headers.append(dict(self.headers))
                if self.path in outer.answers:
                    with suppress(OSError):  # the other side has hung up
                        outer.answers[self.path](self)
                    return
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path in outer.cut else content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache, which LOWRANK_DATA names; and no proxy between the test and its server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("LOWRANK_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


CONTENT = b"a published file\n" * 9000


def _source(server, content=CONTENT, algorithm="sha256"):
    server.files["/data/file.txt"] = content
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    return Source(f"{server.url}/data/file.txt", "folder", len(CONTENT), f"{algorithm}:{digest}")


def _everything_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _send(handler, headers, pieces, status=200):
    """Answer with these headers, and then with one piece after the other."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(piece)


class Endless:
    """Pieces without an end, and how many bytes of them were taken; a tenth of a second apart if they are slow."""

    def __init__(self, piece, *, slow=False):
        self.piece, self.slow, self.taken = piece, slow, 0

    def __iter__(self):
        while self.taken < 2**30:
            self.taken += len(self.piece)
            yield self.piece
            time.sleep(0.1 * self.slow)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_is_downloaded_once_then_read_from_the_cache(server, cache, algorithm):
    source = _source(server, algorithm=algorithm)
    assert fetch(source) == CONTENT
    assert _everything_in(cache) == [cache / "folder" / "file.txt"]
    assert fetch(source) == CONTENT
    assert server.requests == ["/data/file.txt"]


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"?", CONTENT[:-1], b""])
def test_a_mismatch_names_both_digests_and_keeps_nothing(server, cache, content):
    source = _source(server, content)
    with pytest.raises(ValueError) as caught:
        fetch(source)
    message = str(caught.value)
    assert hashlib.sha256(content).hexdigest() in message and hashlib.sha256(CONTENT).hexdigest() in message
    assert "sha256" in message and f"{len(content)} bytes" in message and f"{len(CONTENT)} bytes" in message
    assert _everything_in(cache) == []


def test_the_size_is_checked_beside_the_digest(server, cache):
    source = _source(server)._replace(size=len(CONTENT) + 1)
    with pytest.raises(ValueError, match=f"{len(CONTENT)} bytes .* {len(CONTENT) + 1} bytes"):
        fetch(source)
    assert _everything_in(cache) == []


def test_a_transfer_that_breaks_off_leaves_nothing_and_the_next_one_succeeds(server, cache):
    source = _source(server)
    server.cut.add("/data/file.txt")
    with pytest.raises((ConnectionError, ValueError), match="could not download"):
        fetch(source)
    assert _everything_in(cache) == []
    server.cut.clear()
    assert fetch(source) == CONTENT


@pytest.mark.parametrize("moment", ["transfer", "write", "rename"])
def test_an_interruption_leaves_nothing_and_the_next_one_succeeds(server, cache, monkeypatch, moment):
    def interrupt(*_):
        raise KeyboardInterrupt

    def half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    source = _source(server)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if moment == "transfer":
            patch.setattr(pooch.HTTPDownloader, "__call__", interrupt)
        elif moment == "write":
            patch.setattr(Path, "write_bytes", half)
        else:
            patch.setattr(Path, "replace", interrupt)
        fetch(source)
    assert _everything_in(cache) == []
    assert fetch(source) == CONTENT


# ------------------------------------------------------------------------------------- bounded in bytes and in time

SOCKETS = 2**24  # what the system takes in on both sides before anybody reads, at the very most


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(2**30)}], ids=["open end", "long"])
def test_a_transfer_ends_one_byte_after_the_size(server, cache, headers):
    source, pieces = _source(server), Endless(bytes(2**16))
    server.answers["/data/file.txt"] = lambda handler: _send(handler, headers, pieces)
    with pytest.raises(ValueError, match=f"did not send the published file: it has more than {len(CONTENT)} bytes"):
        fetch(source)
    assert pieces.taken < SOCKETS and _everything_in(cache) == []


def test_nothing_compressed_is_asked_for_or_taken(server, cache):
    """0.1 MB of it would be 100 MB."""
    source, bomb = _source(server), gzip.compress(bytes(10**8))
    fetch(source)
    assert server.headers[0]["Accept-Encoding"] == "identity"
    (cache / "folder" / "file.txt").unlink()
    server.answers["/data/file.txt"] = lambda handler: _send(handler, {"Content-Encoding": "gzip"}, [bomb])
    with pytest.raises(ConnectionError, match="it came as 'gzip', of which nobody knows the size"):
        fetch(source)
    assert _everything_in(cache) == []


def test_what_comes_with_a_redirect_is_not_read(server, cache):
    source, pieces = _source(server)._replace(address=f"{server.url}/old/file.txt"), Endless(bytes(2**16))
    server.answers["/old/file.txt"] = lambda handler: _send(handler, {"Location": "/data/file.txt"}, pieces, 302)
    assert fetch(source) == CONTENT
    assert pieces.taken < SOCKETS


def _slow_head(handler):
    for byte in Endless(b"H", slow=True):
        handler.wfile.write(byte)


def _slow_body(handler):
    _send(handler, {}, Endless(b".", slow=True))


@pytest.mark.parametrize("answer", [_slow_head, _slow_body])
def test_a_transfer_that_never_ends_is_given_up(server, cache, monkeypatch, answer):
    """Each byte comes in good time."""
    monkeypatch.setattr(_download, "PATIENCE", 0.4)
    monkeypatch.setattr(_download, "SLOWEST", 10 * len(CONTENT))
    source = _source(server)
    server.answers["/data/file.txt"] = answer
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=r"The cause was TimeoutError: it had not come after 0 s"):
        fetch(source)
    assert time.monotonic() - began < 10
    assert _everything_in(cache) == []


def test_a_long_file_in_the_cache_is_refused_before_it_is_read_whole(server, cache):
    source = _source(server)
    server.files.clear()
    path = cache / "folder" / "file.txt"
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, 2**28)  # zeros, of which the disk has none
    with pytest.raises(ValueError, match=f"is not the published file: it has more than {len(CONTENT)} bytes"):
        fetch(source)


# ----------------------------------------------------------------------------------------------------------- passwords


def test_a_password_reaches_the_server_and_no_message(server, cache):
    source = _source(server)
    server.files["/mirror/file.txt"] = b"other"
    mirror = server.url.replace("://", "://me%40home:s%2Fcr%e2%82%act@") + "/mirror"
    with pytest.raises(ValueError, match="did not send") as wrong:
        fetch(source, mirror)
    login = base64.b64decode(server.headers[0]["Authorization"].removeprefix("Basic ")).decode()
    assert login == "me@home:s/cr€t"
    with pytest.raises(ConnectionError, match="404") as missing:
        fetch(source, mirror + "/none")
    with pytest.raises(ConnectionError) as away:
        fetch(source, "http://me:s%2Fcr%e2%82%act@127.0.0.1:9")
    for caught in (wrong, missing, away):
        assert "127.0.0.1" in str(caught.value) and not re.search("s%2F|s/cr|€|me@|me%40", str(caught.value))


@pytest.mark.parametrize(
    "address", ["ftp://me:secret@host/x", "me:secret@host", b"https://me:secret@host", "https://me:secret/@host"]
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(server, cache, address):
    with pytest.raises(ValueError, match=r"^base_url must ") as caught:
        fetch(_source(server), address)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None and (caught.value.__suppress_context__ or caught.value.__context__ is None)


def _refuse_writing(monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "replace", refuse)


def test_a_read_only_cache_serves_a_right_file_without_a_request(server, cache, monkeypatch):
    source = _source(server)
    fetch(source)
    _refuse_writing(monkeypatch)
    assert fetch(source) == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("reachable", [True, False])
def test_a_wrong_file_in_a_read_only_cache_is_an_error_with_both_digests(server, cache, monkeypatch, reachable):
    source = _source(server)
    path = cache / "folder" / "file.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    if not reachable:
        server.files.clear()
    _refuse_writing(monkeypatch)
    with pytest.raises(ValueError, match="in the cache is not the published file") as caught:
        fetch(source)
    message = str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in message and hashlib.sha256(CONTENT).hexdigest() in message
    assert str(path) in message and "Delete or replace it" in message


def test_a_wrong_file_in_a_writable_cache_is_replaced(server, cache):
    source = _source(server)
    path = cache / "folder" / "file.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:1000])
    assert fetch(source) == CONTENT == path.read_bytes()
    assert _everything_in(cache) == [path]


def test_a_cache_that_cannot_be_written_is_named(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=f"cannot write file.txt to the cache folder {cache}.*LOWRANK_DATA"):
        fetch(_source(server))


def test_without_the_variable_the_cache_is_the_user_s(monkeypatch):
    monkeypatch.setenv("LOWRANK_DATA", "")
    assert _download.cache_folder().name == "lowrank_helpers"
    monkeypatch.delenv("LOWRANK_DATA")
    assert _download.cache_folder().name == "lowrank_helpers"


def test_the_variable_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("LOWRANK_DATA", "~/data")
    assert _download.cache_folder() == Path.home() / "data"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/data/file.txt", None])
def test_out_of_reach_says_how_to_put_the_file_by_hand(server, cache, address):
    source = _source(server)._replace(address=address or f"{server.url}/data/missing.txt")
    with pytest.raises(ConnectionError) as caught:
        fetch(source)
    message = str(caught.value)
    assert message.startswith(f"could not download {source.address}")
    assert str(cache / "folder" / source.filename) in message and "base_url=" in message
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert _everything_in(cache) == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_base_url_replaces_all_but_the_file_s_name(server, cache, slash):
    source = _source(server)
    server.files["/mirror/of/data/file.txt"] = server.files.pop("/data/file.txt")
    assert fetch(source, f"{server.url}/mirror/of/data{slash}") == CONTENT
    assert server.requests == ["/mirror/of/data/file.txt"]


def test_a_progress_bar_only_where_someone_watches(server, cache, monkeypatch, capfd):
    source = _source(server)
    monkeypatch.setattr(_download, "_interactive", lambda: False)
    fetch(source)
    assert capfd.readouterr() == ("", "")
    (cache / "folder" / "file.txt").unlink()
    monkeypatch.setattr(_download, "_interactive", lambda: True)
    fetch(source)
    assert "100%" in capfd.readouterr().err


def _zip(**contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("evil", ["../evil.txt", "a/../../evil.txt", "/etc/evil", "..\\evil.txt", "C:/evil.txt"])
def test_an_archive_with_an_unsafe_member_is_refused_whole(evil):
    with pytest.raises(ValueError, match="unsafe path"):
        members(_zip(**{"a/good.txt": b"good", evil: b"evil"}), "a/good.txt")


def test_members_are_read_by_name():
    archive = _zip(**{"a/one.txt": b"1", "a/two..txt": b"2"})
    assert members(archive, "a/two..txt", "a/one.txt") == [b"2", b"1"]
    with pytest.raises(ValueError, match=r"no member 'a/three.txt'; it has a/one.txt, a/two..txt"):
        members(archive, "a/three.txt")


def test_load_online_downloads_then_reads_the_cache(server, cache, monkeypatch):
    source = SOURCES["shakespeare"]
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    monkeypatch.setitem(SOURCES, "shakespeare", source._replace(size=len(CONTENT), digest=digest))
    server.files["/here/input.txt"] = CONTENT
    assert load("shakespeare", online=True, base_url=f"{server.url}/here") == CONTENT.decode()
    assert _everything_in(cache) == [cache / "tinyshakespeare" / "input.txt"]
    server.files.clear()
    assert load("shakespeare", online=True) == CONTENT.decode()
