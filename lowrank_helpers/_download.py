"""Fetch a published file: from the cache, or over the network; verified either way before anyone reads it."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

CACHE_VARIABLE = "LOWRANK_DATA"


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
    disk, in one step, when size and digest are right: what an interruption leaves behind is nothing.

    Raises
    ------
    ValueError
        If the file that came, or one in the cache that cannot be replaced, is not the published one; the message
        names both digests. Or if `base_url` is no web address.
    OSError
        If the file can be neither found, nor downloaded (ConnectionError), nor stored.
    """
    address = source.address if base_url is None else f"{_checked(base_url)}/{source.filename}"
    path = cache_folder() / source.folder / source.filename
    wrong = ""
    if path.is_file():
        content = path.read_bytes()
        wrong = mismatch(content, source)
        if not wrong:
            return content
    try:
        content = _download(address, path, source)
        _store(content, path)
    except OSError as error:
        if wrong:
            raise ValueError(
                f"load: {path} in the cache is not the published file: {wrong}. Delete or replace it. "
                f"Replacing it now failed: {error}"
            ) from None
        raise
    return content


def mismatch(content: bytes, source: Source) -> str:
    """Return "" if size and digest are the published ones, else a phrase that names all four."""
    algorithm, expected = source.digest.split(":")
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if len(content) == source.size and digest == expected:
        return ""
    return (
        f"it has {len(content)} bytes and the {algorithm} digest {digest}, "
        f"the published file has {source.size} bytes and {expected}"
    )


def _checked(base_url: str) -> str:
    if not isinstance(base_url, str) or not base_url.startswith(("https://", "http://")):
        raise ValueError(f"load: base_url must start with https:// or http://; got {base_url!r}.")
    return base_url.rstrip("/")


def _download(address: str, path: Path, source: Source) -> bytes:
    import pooch

    buffer = io.BytesIO()
    responses: list[Any] = []

    def remember(response: Any, **_: Any) -> None:
        responses.append(response)

    transfer = pooch.HTTPDownloader(
        progressbar=_interactive(), chunk_size=2**16, timeout=30, hooks={"response": remember}
    )
    try:
        transfer(address, buffer, None)
    except OSError as error:  # whatever requests raises is one
        raise ConnectionError(
            f"load: could not download {address}. Put the file by hand at {path} (from {source.address} or anywhere "
            f"else: its digest is checked), or pass base_url= with the address of a folder that holds "
            f"{source.filename}. The cause was {type(error).__name__}: {error}"
        ) from None
    finally:
        for response in responses:  # pooch leaves them open where a transfer fails
            response.close()
    content = buffer.getvalue()
    if wrong := mismatch(content, source):
        raise ValueError(f"load: {address} did not send the published file: {wrong}. Nothing was kept. Try again.")
    return content


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
            f"load: cannot write {path.name} to the cache folder {path.parent}. Let the environment variable "
            f"{CACHE_VARIABLE} name a folder that can be written. The cause was {type(error).__name__}: {error}"
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
                raise ValueError(f"load: the archive has a member with an unsafe path, {name!r}; it was not read.")
        for name in names:
            if name not in present:
                raise ValueError(f"load: the archive has no member {name!r}; it has {', '.join(present)}.")
        return [file.read(name) for name in names]
