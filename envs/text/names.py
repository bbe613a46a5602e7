"""Names that nobody bears, made by a grammar with a few rules that are worth thinking about.

A name has three to five syllables: consonants, a vowel, and sometimes a consonant to close it. All of its
vowels are of one kind, front (e, i, y) or back (a, o, u), as in Finnish or Turkish. Its ending follows from
that and from the number of syllables before it, even or odd. So the end of a name depends on all of it.
"""

from __future__ import annotations

import random
from functools import cache

ONSETS = (*"bdfghklmnprstvz", "br", "dr", "gr", "kl", "kr", "pl", "st", "str", "tr")
CODAS = "nrls"
VOWELS = ("eiy", "aou")
ENDINGS = {(0, 0): "el", (0, 1): "in", (1, 0): "ar", (1, 1): "o"}
"""By the kind of the vowels, and whether the syllables before are odd in number."""
CLOSED = 0.3
"""Share of the syllables that end in a consonant."""
COUNT = 32_768
"""Names in all."""
SHORT = 9
"""Letters of a short name, at most."""
HELD_OUT = COUNT // 8
"""Of these, names that are never trained on."""


def name(rng: random.Random) -> str:
    """One name."""
    kind, syllables = rng.randrange(2), rng.randint(2, 4)
    made = ""
    for _ in range(syllables):
        made += rng.choice(ONSETS) + rng.choice(VOWELS[kind]) + rng.choice(CODAS) * (rng.random() < CLOSED)
    return made + rng.choice(ONSETS[:15]) + ENDINGS[kind, syllables % 2]


def follows_the_rules(text: str) -> bool:
    """Whether the vowels of a name are of one kind and its ending is the one that they ask for."""
    kinds = {kind for kind, vowels in enumerate(VOWELS) for letter in text if letter in vowels}
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    before = sum(letter in VOWELS[kind] for letter in text) - 1
    return text.endswith(ENDINGS[kind, before % 2])


@cache
def names(held_out: bool, short: bool | None = None) -> tuple[str, ...]:
    """The names to train on or those held out: no name is in both, and all are different. short: those of at
    most SHORT letters, or (False) the others alone."""
    if short is not None:
        return tuple(name for name in names(held_out) if (len(name) <= SHORT) == short)
    rng = random.Random("names")
    made: dict[str, None] = {}
    while len(made) < COUNT:
        made[name(rng)] = None
    every = list(made)
    return tuple(every[:HELD_OUT] if held_out else every[HELD_OUT:])
