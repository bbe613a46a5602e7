"""onnxruntime-web, which comes with this project: the runtime that browsers load.

It is the npm package's, unchanged. What is large lies here packed by xz, and in an exported page by gzip,
which browsers unpack: the host need not know how to compress.
"""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

FOLDER = Path(__file__).parent / "ort"
LICENCE, VERSIONS = "LICENSE", "versions.json"


def version() -> str:
    """`1.30.0`."""
    return str(json.loads((FOLDER / VERSIONS).read_text())["version"])


def put_runtime(folder: Path) -> None:
    """Write the runtime into a folder, its two builds and its licence."""
    for path in sorted(FOLDER.iterdir()):
        content = path.read_bytes()
        if path.suffix == ".xz":  # level 6: a third of the time of level 9 for 1 % more
            packed = gzip.compress(lzma.decompress(content), 6, mtime=0)
            (folder / f"{path.stem}.gz").write_bytes(packed)
        else:
            (folder / path.name).write_bytes(content)
