"""The table of docs/tasks/text.md, and docs/images/text.png: bits a byte against blocks, and where a model
thought.

`python docs/draw_text.py PICTURE LABEL=runs/NAME ...` compares models on what the first one's run held out;
the second part of the picture is a piece of that text, read by the first model. Without arguments: the floor
of text-names, the bits a byte of the grammar itself.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from pathlib import Path

import numpy as np

from envs.puzzle import PuzzleBatch
from envs.text.names import CLOSED, CODAS, ENDINGS, ONSETS, SHORT, VOWELS, names
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.text.reading import Read, read_tokens
from hrm_rl.data.streams import build_data
from hrm_rl.text import TextModel
from hrm_rl.utils.plots import CYCLE, LINES, MARKERS, canvas, tidy

THRESHOLDS = (-1.0, -0.3, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1)
SHADES = ("#ffffff", "#fde9b8", "#f9b97a", "#e97a6b")
"""Of a token by its segments, 1 to 4."""
SHOWN, ACROSS = 5, 32
"""Windows that are shown, and tokens in a line."""


def probability(name: str) -> float:
    """That the grammar of names makes this one: over all ways to divide it into syllables."""

    def rest(text: str, kind: int, syllables: int) -> float:
        if not syllables:
            return (text in ONSETS[:15]) / 15
        total = 0.0
        for onset in ONSETS:
            after = text[len(onset) + 1 :]
            if text.startswith(onset) and text[len(onset) : len(onset) + 1] in (*VOWELS[kind],):
                total += (1 - CLOSED) * rest(after, kind, syllables - 1)
                if after[:1] in (*CODAS,):
                    total += CLOSED / len(CODAS) * rest(after[1:], kind, syllables - 1)
        return total / len(ONSETS) / 3

    return sum(
        rest(name.removesuffix(ending), kind, syllables) / 6
        for (kind, odd), ending in ENDINGS.items()
        for syllables in (2, 3, 4)
        if syllables % 2 == odd and name.endswith(ending)
    )


def floor() -> dict[str, float]:
    """Bits a byte of the held-out names under the grammar, which knows the level: nothing can have fewer."""
    share = np.mean([len(name) <= SHORT for held_out in (False, True) for name in names(held_out)])
    found = {}
    for level, short in (("short", True), ("long", False)):
        of_level = share if short else 1 - share
        bits = [-math.log2(probability(name) / of_level) for name in names(True, short)]
        found[level] = sum(bits) / sum(len(name) + 1 for name in names(True, short))
    return found


@cache
def opened(folder: str) -> TextModel:
    return TextModel.from_pretrained(folder)


def read(folder: str, windows: PuzzleBatch, flat: bool = False) -> Read:
    model = opened(folder)
    return read_tokens(model.solver, windows, Stopping(model.budget), flat)


def spent(found: Read, threshold: float) -> np.ndarray:
    """(T,) segments of each token at a threshold."""
    stops = found.q[..., 0] > found.q[..., 1] + threshold
    return np.where(stops.any(axis=0), stops.argmax(axis=0), len(stops) - 1) + 1


def point(found: Read, segments: np.ndarray) -> tuple[float, float, float]:
    """Mean segments, bits a byte and share of tokens right, at these segments of each token."""
    at = segments - 1, np.arange(len(segments))
    return float(segments.mean()), float(found.bits[at].mean()), float(found.right[at].mean())


def main(args: list[str]) -> None:
    if not args:
        print({level: round(bits, 3) for level, bits in floor().items()})
        return
    picture, *given = args
    folders = dict(arg.split("=", 1) for arg in given)
    data = build_data(opened(next(iter(folders.values()))).loaded.config)
    data.source.close()
    figure, (left, right) = canvas(11.0, 4.2, columns=2, width_ratios=(1, 1.25))
    print("| model | parameters | reads | segments | blocks | bits a byte | right |")
    print("|---|---|---|---|---|---|---|")
    for i, (label, folder) in enumerate(folders.items()):
        model, found = opened(folder), read(folder, data.held_out)
        weights, blocks = sum(p.numel() for p in model.loaded.model.parameters()), model.blocks()
        rows = {"adaptive": (*point(found, spent(found, 0.0)), blocks)}
        if model.budget > 1:
            fixed = [np.full(found.bits.shape[1], k) for k in range(1, model.budget + 1)]
            rows |= {f"fixed {k}": (*point(found, segments), blocks) for k, segments in enumerate(fixed, 1)}
            flat = read(folder, data.held_out, flat=True)
            rows["flat"] = (*point(flat, np.ones(flat.bits.shape[1], int)), model.blocks(use_hrm=False))
        for name, (segments, bits, share, each) in rows.items():
            print(
                f"| {label} | {weights:,} | {name} | {segments:.2f} | {segments * each:.1f} | {bits:.3f} "
                f"| {share:.1%} |"
            )
        curve = [rows[name] for name in rows if name.startswith("fixed")] or [rows["adaptive"]]
        style = {"marker": MARKERS[i], "color": CYCLE[i], "markersize": 5}
        left.plot([s * b for s, _, _, b in curve], [c[1] for c in curve], LINES[i % 4], label=label, **style)
        if "flat" in rows:
            left.plot(
                [rows["flat"][3]], [rows["flat"][1]], "", label=f"{label}, flat", marker="x", color=CYCLE[i]
            )
            points = [point(found, spent(found, threshold)) for threshold in THRESHOLDS]
            left.plot(
                [p[0] * blocks for p in points], [p[1] for p in points], ":", label=f"{label}, adaptive",
                color=CYCLE[i], marker=".",
            )  # fmt: skip
    tidy(left, x="blocks that a token passes", y="bits a byte, held out").legend(
        frameon=False, fontsize="small"
    )
    _thinking(right, opened(next(iter(folders.values()))), data.held_out)
    figure.savefig(Path(picture), dpi=100, pil_kwargs={"optimize": True})


def _thinking(axis: object, model: TextModel, windows: PuzzleBatch) -> None:
    """Some windows, each token shaded by the segments before the *next* one was said."""
    chosen = np.linspace(0, len(windows) - 1, SHOWN).astype(int)
    row = 0
    for window in windows.take(chosen).solution:
        one = PuzzleBatch(
            np.concatenate([[model.task.vocabulary.mark], window[:-1]]).astype(np.uint8)[None],
            window[None], np.array([-1]), np.array([0]),
        )  # fmt: skip
        steps = read_tokens(model.solver, one, Stopping(model.budget)).spent
        for start in range(0, len(window), ACROSS):
            for column, (token, count) in enumerate(
                zip(window[start : start + ACROSS], steps[start:], strict=False)
            ):
                shade = SHADES[min(int(count), len(SHADES)) - 1]
                axis.add_patch(_cell(column, row, shade))
                text = model.task.characters[token].replace("\u240a", "\u21b5")
                axis.text(
                    column + 0.5, row + 0.5, text if text.isascii() or text in "\u00b6\u21b5" else "\u00b7",
                    ha="center", va="center", family="monospace", fontsize=8, parse_math=False,
                )  # fmt: skip
            row += 1
    for i, shade in enumerate(SHADES[: model.budget]):
        axis.add_patch(_cell(6 * i, row + 0.5, shade))
        axis.text(6 * i + 1.3, row + 1, f"{i + 1} segment{'s' * (i > 0)}", va="center", fontsize=8)
    axis.set_xlim(0, ACROSS)
    axis.set_ylim(row + 2, 0)
    axis.set_axis_off()
    axis.set_title("what a token cost to foresee", fontsize=10)


def _cell(column: float, row: float, shade: str) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="#cccccc", linewidth=0.4)


if __name__ == "__main__":
    main(sys.argv[1:])
