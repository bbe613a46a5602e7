"""`hrm-rl generate`: a text, continued token by token, with what each cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from hrm_rl.cli.flags.common import CheckpointFlag, DeviceFlag, ThreadsFlag, WeightsFlag, parse
from hrm_rl.config import Positive, Section, Seed
from hrm_rl.text import Generated, TextModel
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.devices import choose_device, choose_threads
from hrm_rl.utils.errors import UserError

SHADES = ("white", "green", "yellow", "red", "magenta")
"""Of a token by its segments: 1, 2, 3, 4 and more of them."""


class GenerateCommand(Section):
    """Let a trained model go on with a text.

    The text is printed as it is; with --show-thinking each token has the colour of its segments."""

    checkpoint: CheckpointFlag = ""
    prompt: str = ""
    """What the text begins with; - reads it from standard input. Without it, the model begins."""
    max_length: int = 200
    """Most tokens of the text, the prompt's included; a model of bytes takes several for a character beyond
    ASCII. A text also ends where the model ends it."""
    temperature: float = 1.0
    """0 takes the likeliest token every time; below 1, likely ones are preferred."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens only."""
    top_p: float = 1.0
    """Draw from the fewest likeliest tokens only that have this probability together."""
    samples: Positive = 1
    """Texts to generate, with the seeds that follow --seed."""
    seed: Seed = 0
    """Seed of what is drawn."""
    flat: bool = False
    """Without recurrence: every block once, in one segment."""
    max_segments: Positive | None = None
    """Budget of segments a token; the training run's if not given."""
    halt_threshold: float = 0.0
    """How far q_halt has to be above q_continue for a token to halt; below 0 it halts earlier."""
    show_thinking: bool = False
    """Colour each token by the segments spent on it, and say what the text cost."""
    weights: WeightsFlag = None
    device: DeviceFlag = "auto"
    threads: ThreadsFlag = None


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(GenerateCommand(), args, "generate")
    if not command.checkpoint:
        raise UserError(f"say which model: {typed_command('generate')} --model runs/NAME --prompt TEXT")
    if command.flat and (command.max_segments is not None or command.halt_threshold):
        raise UserError("--flat thinks for one segment: leave out --max-segments and --halt-threshold")
    choose_threads(command.threads)
    model = TextModel.from_pretrained(Path(command.checkpoint), command.weights)
    model.to(choose_device(command.device))
    console = Console(highlight=False)
    for number in range(command.samples):
        found = model.generate(
            _prompt(command.prompt),
            command.max_length,
            command.temperature,
            command.top_k,
            command.top_p,
            use_hrm=not command.flat,
            seed=command.seed + number,
            max_segments=command.max_segments,
            threshold=command.halt_threshold,
        )
        if not command.show_thinking:
            print(found.text)
            continue
        console.print(coloured(model, found), soft_wrap=True)
        console.print(cost(model, found, command.flat), soft_wrap=True)
    if command.show_thinking:
        shades = [Text(f"{i}{'+' * (i == len(SHADES))}", shade) for i, shade in enumerate(SHADES, start=1)]
        console.print(Text("segments: ").append_text(Text(" ").join(shades)), soft_wrap=True)
    return 0


def _prompt(given: str) -> str:
    """What a text begins with. Raises UserError for standard input that is no text."""
    if given != "-":
        return given
    import sys

    try:
        return sys.stdin.buffer.read().decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"standard input has no UTF-8 at byte {error.start}: give the prompt in UTF-8"
        ) from None


def coloured(model: TextModel, found: Generated) -> Text:
    """The text, each character in the colour of the most segments that one of its tokens took."""
    said = found.tokens[len(found.tokens) - (len(found.spoken) - found.ended) :]
    text = Text(found.prompt, "bold")
    decode, start = model.task.vocabulary.decode, 0
    for stop in range(1, len(said) + 1):
        piece = decode(said[start:stop])
        if piece.endswith("\ufffd") and stop < len(said) and stop - start < 4:
            continue  # a character that is not whole yet
        steps = max(token.steps for token in found.spoken[start:stop])
        text.append(piece, SHADES[min(steps, len(SHADES)) - 1])
        start = stop
    return text


def cost(model: TextModel, found: Generated, flat: bool) -> str:
    """What a text cost, in words."""
    count = len(found.spoken)
    if not count:
        return "nothing generated: the prompt has as many tokens as --max-length, or more"
    blocks, steps = model.blocks(not flat), np.array([token.steps for token in found.spoken])
    ending = "ended by the model" if found.ended else "cut off"
    spent = (
        "flat"
        if flat
        else f"at most {steps.max()}, {sum(t.halted for t in found.spoken)} halted by themselves"
    )
    return (
        f"{count} tokens, {steps.sum()} segments ({steps.mean():.2f} a token, {spent}), "
        f"{blocks * steps.sum()} blocks ({blocks} a segment), "
        f"{np.mean([token.bits for token in found.spoken]):.2f} bits a token, {ending}"
    )
