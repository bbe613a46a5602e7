"""Bad inputs: budgets, halting and search."""

from __future__ import annotations

from tests.helpers.bad_inputs.kinds import BadInput, bad


def evaluate(flags: str, model: str = "runs/r") -> BadInput:
    return bad(f"evaluate --checkpoint {model} {flags}")


def train(flags: str) -> BadInput:
    return bad(f"train --preset sudoku4-quick --num-workers 0 {flags}")


THINKING = (
    evaluate("--max-segments 0"),
    evaluate("--max-segments -4"),
    evaluate("--max-segments 2.5"),
    evaluate("--max-segments x2"),
    evaluate("--max-segments 2e9"),
    evaluate("--halting never"),
    evaluate("--halting fixed --halt-threshold 0.5"),
    evaluate("--halting entropy --halt-threshold 0"),
    evaluate("--halting agree --patience 1"),
    evaluate("--patience 3"),
    evaluate("--min-segments 0"),
    evaluate("--halt-threshold high"),
    evaluate("--vote 1"),
    evaluate("--retry 0"),
    evaluate("--choose q_halt"),
    evaluate("--rollouts 8"),
    evaluate("--rollouts 8 --choose best --rollout-noise 0.3"),
    evaluate("--rollout-noise 0.3"),
    evaluate("--rollouts 8 --rollout-noise -0.3"),
    evaluate("--by colour"),
    evaluate("--by length"),
    evaluate("--level easy --puzzles 4 --seed -1"),
    evaluate("--sweep --vote 4"),
    evaluate("--sweep --max-segments 4"),
    evaluate("--sweep --budgets"),
    evaluate("--sweep --budgets 0x"),
    evaluate("--sweep --thresholds low"),
    evaluate("--search --vote 4"),
    evaluate("--search --halting agree"),
    evaluate("--search --sweep"),
    evaluate("--search --chains 0"),
    evaluate("--search --chains 100 --max-segments 20"),
    evaluate("--search --temperature 0"),
    evaluate("--search --assume-share 50"),
    evaluate("--search --doubt-after 8"),
    evaluate("--chains 4"),
    evaluate("--no-doubt"),
    evaluate("--level nightmare"),
    evaluate("--test-grids"),
    evaluate("--test-grids --level easy"),
    evaluate("--submission attempts.txt"),
    bad("solve --checkpoint runs/r --random easy --max-segments 0"),
    bad("solve --checkpoint runs/r --random easy --search --think-on"),
    bad("analyze --checkpoint runs/r --out report --max-segments 2x"),
    bad("analyze --checkpoint runs/r --out report --give-up 4"),
    train("--halting.halt-max-steps 0"),
    train("--halting.halt-exploration-prob 10"),
    train("--halting.exploration per_step"),
    train("--halting.q-target none"),
    train("--halting.q-lambda 0.9"),
    train("--halting.q-target lambda --train.micro-batches 2 --halting.rollout-segments 4"),
    train("--search.share 0.5 --halting.q-target bootstrap"),
    train("--search.share 50"),
    train("--search.doubt never"),
    train("--env.segment-cost -0.1"),
)
