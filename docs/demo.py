"""The live demo of the docs site: a page with models that think in the browser, in build/site/demo.

`make docs` runs it. It takes some fifteen seconds, and is done anew only where something changed of which it
is made.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from hrm_rl.export.formats import missing_for
from hrm_rl.weights import folder_of

ROOT = Path(__file__).parents[1]
MODELS = ("sudoku9",)
MADE_OF = ("hrm_rl/serving/page", "hrm_rl/serving/onnx_page", "hrm_rl/export", "hrm_rl/models", "envs")
BUILD = ROOT / "build"


def digest() -> str:
    """Of all that the demo is made of."""
    folders = [ROOT / name for name in MADE_OF] + [folder for name in MODELS if (folder := folder_of(name))]
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            found.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return found.hexdigest()


def main() -> None:
    made, stamp, site = BUILD / "demo", BUILD / "demo.sha256", BUILD / "site" / "demo"
    if (why := missing_for("onnx")) is not None:
        print(f"the site has no demo: {why}")
        return
    now = digest()
    if not (made.is_dir() and stamp.exists() and stamp.read_text() == now):
        shutil.rmtree(made, ignore_errors=True)
        command = [sys.executable, "-m", "hrm_rl.cli.main", "export", "--page", str(made), "--model", *MODELS]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        stamp.write_text(now)
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(made, site)
    print(f"built {site.relative_to(ROOT)}/index.html: python -m http.server --directory build/site")


if __name__ == "__main__":
    main()
