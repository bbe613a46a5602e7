"""Bad inputs: text to train on and to go on with."""

from __future__ import annotations

from tests.helpers.bad_inputs.kinds import BadInput, bad

SENTENCE = "The rain in Spain stays mainly in the plain. "


def trained(content: str | bytes | None, about: str = "", more: str = "") -> BadInput:
    """A run on the file t.txt."""
    files = None if content is None else {"t.txt": content}
    return bad(f"train --preset text-file --num-workers 0 --data.path t.txt{more}", about, files)


TEXTS = (
    bad("train --preset text-file --num-workers 0"),
    trained(None, "there is no `t.txt`"),
    trained("", "`t.txt` is empty"),
    trained("Hello"),
    trained(b"na\xefve\n" * 20, "`t.txt` is in Latin-1"),
    trained(b"\x00\x01" * 40, "`t.txt` has NUL characters"),
    trained(SENTENCE * 40, "`t.txt` says one sentence 40 times", " --env.size 8"),
    trained(SENTENCE, "", " --env.options tokenizer v.json"),
    trained(SENTENCE, "", " --env.size 1"),
    trained(SENTENCE, "", " --model.no-causal"),
    trained(SENTENCE, "", " --halting.q-target lambda"),
    bad("train --preset text-names --num-workers 0 --curriculum.stages tall=1"),
    bad("train --preset sudoku4-quick --num-workers 0 --train.flat-share 0.5"),
    bad("generate --prompt Hello"),
    bad("generate --model runs/r --prompt Hello"),
    bad("generate --model runs/r --flat --max-segments 2"),
    bad("generate --model runs/r --samples 0"),
)
