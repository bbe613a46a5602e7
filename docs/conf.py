"""The docs site: Sphinx with the furo theme, from the Markdown pages of this folder; `make docs` builds it.

The pages are plain Markdown, so that they read well without the site: the navigation is taken from the
lists of index.md (no toctree stands in it), and docstrings keep their Markdown (docs/docstrings.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import fastapi  # noqa: F401  before autodoc does, with TYPE_CHECKING set: then its models cannot be built

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from docstrings import to_rst  # noqa: E402

import hrm_rl  # noqa: E402

project = "hrm-rl"
version = release = hrm_rl.__version__
copyright = "the authors of hrm-rl, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"hrm-rl {version}"
html_theme_options = {"source_directory": "docs/"}
html_copy_source = False

autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 90


def add_navigation(app: Any, page: str, source: list[str]) -> None:
    """Behind index.md, a hidden table of contents for each of its lists of pages."""
    if page == "index":
        for section in source[0].split("\n## ")[1:]:
            pages = re.findall(r"^- \[.*?\]\((.*?)\.md\)", section, flags=re.MULTILINE)
            caption = section.splitlines()[0]
            source[0] += "\n\n".join(["", f"```{{toctree}}\n:hidden:\n:caption: {caption}\n", ""])
            source[0] = source[0].rstrip() + "\n\n" + "\n".join(pages) + "\n```\n"


def link_files(app: Any, page: str, source: list[str]) -> None:
    """Links to Markdown outside this folder, such as the README, become links to files."""
    folder = (DOCS / page).parent

    def link(found: re.Match[str]) -> str:
        outside = DOCS not in (folder / found[1]).resolve().parents
        return f"](path:{found[1]})" if outside else found[0]

    source[0] = re.sub(r"\]\((\.\./[^)#]*\.md)\)", link, source[0])


def shown_docstring(app: Any, what: str, name: str, object: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def shown_signature(
    app: Any, what: str, name: str, object: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """No arguments for settings: they are listed below, each with its line of documentation."""
    return ("", None) if hasattr(object, "model_fields") and what == "class" else (signature, returned)


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
    app.connect("source-read", link_files)
    app.connect("autodoc-process-docstring", shown_docstring)
    app.connect("autodoc-process-signature", shown_signature)
