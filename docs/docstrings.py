"""Docstrings as this project writes them (Markdown, `name: meaning` lists, indented formulas) to the
reStructuredText that Sphinx reads."""

from __future__ import annotations

import re

ARGUMENT = re.compile(r"(\w+(?:, \w+)*|Returns|Raises): ")


def to_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, block by block."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    shown = "\n\n".join(_block(block.splitlines()) for block in blocks if block.strip())
    return [*shown.splitlines(), ""]


def _block(lines: list[str]) -> str:
    first = lines[0]
    if heading := re.fullmatch(r"#+ (.*)", first):
        rest = [_block(lines[1:])] if lines[1:] else []
        return "\n\n".join([f".. rubric:: {_inline(heading[1])}", *rest])
    if len(lines) > 1 and re.fullmatch(r"[-=~]{3,}", lines[1]):
        return _block([f"# {first}", *lines[2:]])
    if first.lstrip().startswith("|"):
        rows = [re.split(r"\s*(?<!\\)\|\s*", line.strip().strip("|").strip()) for line in lines]
        cells = [row for row in rows if set("".join(row)) - set("-: ")]
        table = "\n".join(
            f"   {'* -' if i == 0 else '  -'} {_inline(cell)}" for row in cells for i, cell in enumerate(row)
        )
        return f".. list-table::\n   :header-rows: 1\n\n{table}"
    if all(line.startswith("  ") for line in lines):
        return "::\n\n" + "\n".join(f"   {line}" for line in lines)
    return _paragraphs(lines)


def _paragraphs(lines: list[str]) -> str:
    """Running text, and a list of `- ...` or `argument: ...`. Indented lines belong to what is above them."""
    arguments = len(lines) > 1 and all(ARGUMENT.match(line) or line.startswith(" ") for line in lines)
    parts: list[str] = []
    for line in lines:
        item = re.match(r"[-*] |\d+\. ", line)
        if item or (arguments and ARGUMENT.match(line)):
            parts.append(f"- {line[item.end() if item else 0 :].strip()}")
        elif not parts or (parts[-1].startswith("- ") and not line.startswith(" ")):
            parts.append(line.strip())
        else:
            parts[-1] += f" {line.strip()}"
    return "\n\n".join(_inline(part) for part in parts)


def _inline(text: str) -> str:
    """Code and emphasis stay; whatever else reStructuredText would read as markup is escaped."""
    kept = re.split(r"(`+[^`]+`+|\*\*?\w(?:[^*]*[\w.])?\*\*?)", text)
    for i, part in enumerate(kept):
        if i % 2 and part.startswith("`"):
            kept[i] = f"``{part.strip('`')}``"
            if i + 1 < len(kept) and kept[i + 1][:1].isalnum():
                kept[i] += "\\ "
        elif not i % 2:
            kept[i] = re.sub(r"(?<=\w)_(?!\w)|[*|`\\]", lambda found: f"\\{found[0]}", part)
    return "".join(kept)
