"""Fetch a published file: from the cache, or over the network; verified either way before anyone reads it."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import sys
import threading
import time
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from lowrank_helpers import _checks

CACHE_VARIABLE = "LOWRANK_DATA"
PATIENCE = 30.0  # seconds without a byte after which a transfer is given up
SLOWEST = 20_000  # bytes a second; a transfer may take as long as at this speed, and PATIENCE


class Source(NamedTuple):
    """A published file: where it lies, its folder in the cache, its size in bytes and its digest."""

    address: str
    folder: str
    size: int
    digest: str  # "sha256:…", or "md5:…" where that is what the publisher gives

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.address.rsplit("/", 1)[-1]


def cache_folder() -> Path:
    """Return the folder that LOWRANK_DATA names; if it is unset or empty, the user's cache folder."""
    import pooch  # here, not above: it imports tqdm.auto, which warns in a notebook without ipywidgets

    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("lowrank_helpers")).expanduser()


def fetch(source: Source, base_url: str | None = None) -> bytes:
    """Return the file's content, verified; download it where the cache does not hold it.

    A right file in the cache is only read, so the cache may be read-only. A transfer goes to memory and reaches the
    disk, in one step, when size and digest are right: what an interruption leaves behind is nothing. Of a file that is
    too long no more than one byte too many is read, and a transfer that is too slow is given up.

    Raises
    ------
    ValueError
        If the file that came, or one in the cache that cannot be replaced, is not the published one; the message
        names both digests, or says that it is too long. Or if `base_url` is no web address.
    OSError
        If the file can be neither found, nor downloaded (ConnectionError), nor stored.
    """
    address, login = source.address, None
    if base_url is not None:
        folder, login = _checked(base_url)
        address = f"{folder}/{source.filename}"
    path = cache_folder() / source.folder / source.filename
    wrong = ""
    if path.is_file():
        with path.open("rb") as file:
            content = file.read(source.size + 1)
        wrong = mismatch(content, source)
        if not wrong:
            return content
    try:
        content = _download(address, login, path, source)
        _store(content, path)
    except OSError as error:
        if wrong:
            raise _checks.invalid(
                f"{path} in the cache is not the published file: {wrong}. Delete or replace it. "
                f"Replacing it now failed: {error}"
            ) from None
        raise
    return content


def mismatch(content: bytes, source: Source) -> str:
    """Return "" if size and digest are the published ones, else a phrase that names all four, or how long it is."""
    if len(content) > source.size:
        return f"it has more than {source.size} bytes, the size of the published file"
    algorithm, expected = source.digest.split(":")
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if len(content) == source.size and digest == expected:
        return ""
    return (
        f"it has {len(content)} bytes and the {algorithm} digest {digest}, "
        f"the published file has {source.size} bytes and {expected}"
    )


def _checked(base_url: str) -> tuple[str, tuple[bytes, bytes] | None]:
    """Split an address into what may be printed and the name and password in it."""
    if not isinstance(base_url, str) or not base_url.startswith(("https://", "http://")):
        shown = repr(base_url.rpartition("@")[2]) if isinstance(base_url, str) else type(base_url).__name__
        raise _checks.invalid(f"base_url must start with https:// or http://; got {shown}.")
    try:
        parts = urlsplit(base_url)
        _ = parts.port  # is read only here, and raises
    except ValueError:  # says what it could not read, which may be a part of a password
        raise _checks.invalid(
            "base_url must be an address such as https://name:password@host:8080/folder. Write a special "
            "character of a password as its percent code, / as %2F."
        ) from None
    login = None
    if parts.username is not None:
        login = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/"), login


class _Bounded(io.BytesIO):
    """A file in memory that takes one byte more than is expected of it, and then ends the transfer."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected

    def write(self, chunk: Any) -> int:
        written = super().write(chunk[: self.expected + 1 - self.tell()])
        if self.tell() > self.expected:
            raise _TooLong
        return written


class _TooLong(Exception):
    pass


def _download(address: str, login: tuple[bytes, bytes] | None, path: Path, source: Source) -> bytes:
    allowed = PATIENCE + source.size / SLOWEST
    try:
        content = _received(address, login, source.size, allowed)
    except (OSError, ValueError) as error:  # whatever requests raises is an OSError
        raise ConnectionError(
            _checks.named(
                f"could not download {address}. Put the file by hand at {path} (from {source.address} or anywhere "
                f"else: its digest is checked), or pass base_url= with the address of a folder that holds "
                f"{source.filename}. The cause was {type(error).__name__}: {error}"
            )
        ) from None
    if wrong := mismatch(content, source):
        raise _checks.invalid(f"{address} did not send the published file: {wrong}. Nothing was kept. Try again.")
    return content


def _received(address: str, login: tuple[bytes, bytes] | None, expected: int, seconds: float) -> bytes:
    """Return what the address sends, of more than is expected one byte more; in so many seconds or not at all.

    The transfer has a thread of its own, since requests limits the wait for each byte only. One that is given up ends
    by itself, as nothing takes what comes.
    """
    import pooch

    buffer, end = _Bounded(expected), time.monotonic() + seconds
    responses: list[Any] = []
    failed: list[BaseException] = []

    def look(response: Any, **_: Any) -> None:
        responses.append(response)
        encoding = response.headers.get("Content-Encoding", "identity")
        if response.is_redirect:
            response.close()  # requests would read all that comes with it
        elif encoding != "identity":
            raise OSError(f"it came as {encoding!r}, of which nobody knows the size; plain bytes were asked for")

    get = pooch.HTTPDownloader(
        progressbar=_interactive(), chunk_size=2**16, timeout=PATIENCE, auth=login, hooks={"response": look},
        headers={"Accept-Encoding": "identity"},
    )  # fmt: skip

    def transfer() -> None:
        try:
            get(address, buffer, None)
        except _TooLong:
            pass
        except BaseException as error:  # handed on to the thread that waits
            failed.append(error)
        finally:
            for response in responses:  # pooch leaves them open where a transfer fails
                response.close()

    thread = threading.Thread(target=transfer, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            if time.monotonic() > end:
                raise TimeoutError(f"it had not come after {seconds:.0f} s")
            thread.join(0.1)  # in short pieces, between which Ctrl-C is heard on any system
        if failed:
            raise failed[0]
        return buffer.getvalue()
    finally:
        buffer.close()


def _store(content: bytes, path: Path) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            _checks.named(
                f"cannot write {path.name} to the cache folder {path.parent}. Let the environment variable "
                f"{CACHE_VARIABLE} name a folder that can be written. The cause was {type(error).__name__}: {error}"
            )
        ) from None


def _interactive() -> bool:
    """Whether someone is there to watch a progress bar."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def members(archive: bytes, *names: str) -> list[bytes]:
    """Return the named members of a zip archive, read in memory: nothing is unpacked to the disk.

    Raises
    ------
    ValueError
        If any member, asked for or not, has an absolute path or one that climbs with "..", or if a name is missing.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        present = file.namelist()
        for name in present:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or set(name) & set("\\:"):
                raise _checks.invalid(f"the archive has a member with an unsafe path, {name!r}; it was not read.")
        for name in names:
            if name not in present:
                raise _checks.invalid(f"the archive has no member {name!r}; it has {', '.join(present)}.")
        return [file.read(name) for name in names]
