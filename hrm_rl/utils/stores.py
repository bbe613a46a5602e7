"""Files in a store: under s3://, gs:// and every other URI that pyarrow or fsspec knows, as Ray's storage.

A store has no folders to make, no locks and no renaming: a file is there, whole, or it is not. Who reads a
set of files checks them against a manifest that was written last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.files import write_atomically

if TYPE_CHECKING:
    from pyarrow import fs

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HALF_URI = re.compile(r"(s3|gs|gcs|abfs|abfss|hdfs|file|memory):/?(?!/)")
_PART = 8 << 20
"""Bytes of a file that are read and sent at a time."""
_GCS_PATIENCE = "retry_limit_seconds"
_REASONS = {
    "NO_SUCH_BUCKET|bucket does not exist|NoSuchBucket": "there is no such bucket: make it, or mend the name",
    "NETWORK_CONNECTION|Could not resolve|Couldn't resolve|Connection refused|timed out|imed out": (
        "it does not answer: check the network, the region and AWS_ENDPOINT_URL"
    ),
    "ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|EXPIRED|TOKEN|INVALID_CLIENT|HTTP.* 403": (
        "it refuses these credentials"
    ),
}
"""What the messages of others mean; the first that fits."""


class StoreAway(UserError):
    """A store that did not do what it was asked to, now."""


def is_uri(text: str | os.PathLike[str]) -> bool:
    """Whether this names something in a store. Raises UserError for what is half of a URI."""
    text = str(text)
    if half := _HALF_URI.match(text):
        raise UserError(f"{text}: write {half[1]}://{text[half.end() :]}")
    return bool(_URI.match(text))


class Store:
    """The files under a URI, by their names relative to it."""

    def __init__(self, uri: str, opened: tuple[fs.FileSystem, str] | None = None):
        """opened: the file system and the path in it, if they are known. Raises UserError, one line, for an
        unknown scheme; of all else, only use tells."""
        self.uri, self._query = _split(uri)
        self.fs, self.root = opened or _open(uri)

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]

    def below(self, name: str) -> Store:
        """The store of the files under `name`."""
        return Store(f"{self.uri}/{name}{self._query}", (self.fs, f"{self.root}/{name}"))

    def located(self) -> str:
        """The URI with its options, as one would type it."""
        return self.uri + self._query

    def put(self, name: str, content: bytes | Path) -> int:
        """Write a file. Returns its bytes. Raises StoreAway; OSError if a local file cannot be read."""
        path, size = f"{self.root}/{name}", 0
        with self._reached():
            if not self._flat:
                self.fs.create_dir(path.rpartition("/")[0], recursive=True)
        if isinstance(content, bytes):
            with self._reached(), self.fs.open_output_stream(path) as out:
                out.write(content)
            return len(content)
        with content.open("rb") as file:
            part = file.read(_PART)
            with self._reached(), self.fs.open_output_stream(path) as out:
                while part:
                    size += len(part)
                    out.write(part)
                    part = file.read(_PART)
        return size

    def read(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError and StoreAway."""
        with self._reached(), self.fs.open_input_stream(f"{self.root}/{name}") as file:
            return bytes(file.read())

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to `path`. Raises FileNotFoundError, StoreAway, and OSError of the disk."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, self.read(name))

    def sizes(self) -> dict[str, int]:
        """Every file by name, with its bytes. Raises StoreAway."""
        from pyarrow import fs

        with self._reached():
            found = self.fs.get_file_info(fs.FileSelector(self.root, recursive=True, allow_not_found=True))
        start = len(self.root.rstrip("/")) + 1
        return {info.path[start:]: info.size or 0 for info in found if info.type == fs.FileType.File}

    def delete(self, name: str) -> None:
        """Remove a file, if it is there. Raises StoreAway."""
        with self._reached():
            try:
                self.fs.delete_file(f"{self.root}/{name}")
            except FileNotFoundError:
                return

    def delete_all(self, name: str) -> None:
        """Remove every file under `name`. Raises StoreAway."""
        with self._reached():
            try:
                self.fs.delete_dir(f"{self.root}/{name}")
            except FileNotFoundError:
                return

    @property
    def _flat(self) -> bool:
        """Whether names need no folders."""
        return self.fs.type_name in ("s3", "gcs", "abfs")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Inside, whatever a file system raises (each has errors of its own) becomes a StoreAway."""
        try:
            yield
        except (FileNotFoundError, UserError):
            raise
        except Exception as error:
            raise StoreAway(f"cannot use {self.uri}: {_reason(error, self.fs.type_name)}") from None


def _open(uri: str) -> tuple[fs.FileSystem, str]:
    from pyarrow import ArrowInvalid, fs

    if "@" in uri.partition("://")[2].partition("/")[0] and uri.startswith("s3:"):
        raise UserError("a URI with keys in it would be printed and recorded: give them as AWS_ACCESS_KEY_ID")
    if uri.startswith(("gs:", "gcs:")) and _GCS_PATIENCE not in uri:
        uri += f"{'&' if '?' in uri else '?'}{_GCS_PATIENCE}=30"
    try:
        found, path = fs.FileSystem.from_uri(uri)
    except ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise UserError(f"{uri} names no place in a store: {one_line(error, 200)}") from None
        found, path = _by_fsspec(uri)
    except Exception as error:
        raise StoreAway(f"cannot use {uri}: {_reason(error, uri.partition(':')[0])}") from None
    path = path.rstrip("/")
    if not path:
        raise UserError(f"{uri} names no place in a store: it looks like s3://BUCKET/FOLDER")
    return found, path


def _by_fsspec(uri: str) -> tuple[Any, str]:
    from pyarrow import fs

    try:
        import fsspec

        found, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{uri}: no such kind of store is known ({one_line(error, 200)}); s3://, gs://, abfs:// and "
            "those of fsspec are"
        ) from None
    except Exception as error:
        raise StoreAway(f"cannot use {uri}: {one_line(error, 200)}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(found)), path


def _split(uri: str) -> tuple[str, str]:
    """A URI without its options, and `?options`."""
    start, mark, options = uri.partition("?")
    return start.rstrip("/"), mark + options


def _reason(error: Exception, kind: str) -> str:
    """In words, what an error of a file system means."""
    text = one_line(error)
    found = next((words for signs, words in _REASONS.items() if re.search(signs, text)), None)
    reached = found not in list(_REASONS.values())[:2]
    if kind == "s3" and reached and not _s3_credentials():
        return "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    return found or f"{type(error).__name__}: {text[:200]}"


def _s3_credentials() -> bool:
    """Whether any are where S3's clients look first."""
    named = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials")
    return any(os.environ.get(name) for name in named) or os.path.exists(file)
