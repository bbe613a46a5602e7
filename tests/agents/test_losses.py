"""Answer and Q-value losses against torch and against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrm_rl.agents.act.answers import mean_entropy, probabilities
from hrm_rl.agents.act.losses import IGNORE, NO_TARGET, Losses, cross_entropy, losses, stablemax_scores

SLOTS, TOKENS, VOCABULARY = 6, 5, 7
KINDS = ("softmax", "stablemax")


def batch(seed: int = 0) -> dict[str, Tensor]:
    """Slots with some unlabelled tokens; slot 2 is padding."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, VOCABULARY, (SLOTS, TOKENS), generator=random)
    labels[torch.rand(SLOTS, TOKENS, generator=random) < 0.3] = IGNORE
    labels[:, 0] = 1
    labels[2] = IGNORE
    return {
        "logits": 3 * torch.randn(SLOTS, TOKENS, VOCABULARY, generator=random),
        "labels": labels,
        "q": torch.randn(SLOTS, 2, generator=random),
        "solved": torch.tensor([True, False, True, False, True, False]),
        "target_continue": torch.rand(SLOTS, generator=random),
    }


def rows(values: dict[str, Tensor], index: object) -> dict[str, Tensor]:
    return {name: value[index] for name, value in values.items()}


def parts(result: Losses) -> Tensor:
    return torch.stack([result.lm, result.q_halt, result.q_continue, result.total]).float()


def test_softmax_is_torchs_cross_entropy_with_zeros_where_there_is_no_label() -> None:
    values = batch()
    found = cross_entropy(values["logits"], values["labels"], "softmax")
    for slot in range(SLOTS):
        for token in range(TOKENS):
            label = values["labels"][slot, token]
            expected = torch.tensor(0.0)
            if label != IGNORE:
                expected = -torch.log_softmax(values["logits"][slot, token], -1)[label]
            torch.testing.assert_close(found[slot, token], expected)


def test_stablemax_of_known_logits() -> None:
    logits = torch.tensor([[3.0, 0.0, -1.0, -3.0]])
    s = torch.tensor([[4.0, 1.0, 0.5, 0.25]])
    torch.testing.assert_close(stablemax_scores(logits), s)
    found = cross_entropy(logits.unsqueeze(0), torch.tensor([[2]]), "stablemax")
    torch.testing.assert_close(found, -torch.log(s[:, 2:3] / 5.75))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=12))
def test_stablemax_has_positive_scores_in_the_order_of_the_logits(logits: list[float]) -> None:
    scores = stablemax_scores(torch.tensor(logits))
    assert (scores > 0).all()
    order = torch.tensor(logits).argsort()
    assert (scores[order].diff() >= 0).all()


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=12), st.data())
def test_stablemax_in_float32_is_as_exact_as_float32_can_be(logits: list[float], data: st.DataObject) -> None:
    """Against the formula in float64, written with a branch: loss and gradient."""
    label = data.draw(st.integers(0, len(logits) - 1))
    single = torch.tensor([[logits]], requires_grad=True)
    double = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss = cross_entropy(single, torch.tensor([[label]]), "stablemax").sum()
    s = torch.where(double >= 0, double + 1, 1 / (1 - double.clamp(max=0)))
    exact = -torch.log(s[label] / s.sum())
    torch.testing.assert_close(loss.double(), exact, rtol=1e-6, atol=1e-6)
    found, expected = torch.autograd.grad(loss, single)[0][0, 0], torch.autograd.grad(exact, double)[0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


def test_stablemax_has_a_finite_gradient_at_zero_at_one_and_far_from_it() -> None:
    """At exactly 1, common in bfloat16, the branch for negative logits would divide by zero."""
    logits = torch.tensor([[[0.0, -0.0, 1.0, -1.0, 1e6, -1e6]]], requires_grad=True)
    cross_entropy(logits, torch.tensor([[3]]), "stablemax").sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_answer_loss_is_the_mean_over_a_slots_labelled_tokens_summed_over_slots(kind: str) -> None:
    values = batch()
    per_token = cross_entropy(values["logits"], values["labels"], kind)
    expected = 0.0
    for slot in range(SLOTS):
        labelled = values["labels"][slot] != IGNORE
        if labelled.any():
            expected += float(per_token[slot][labelled].mean())
    assert float(losses(**values, kind=kind).lm) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_total_weighs_both_q_losses_by_half(kind: str) -> None:
    values = batch()
    result = losses(**values, kind=kind)
    real = torch.arange(SLOTS) != 2
    q, solved = values["q"][real], values["solved"][real].float()
    halt = F.binary_cross_entropy_with_logits(q[:, 0], solved, reduction="sum")
    go_on = F.binary_cross_entropy_with_logits(q[:, 1], values["target_continue"][real], reduction="sum")
    torch.testing.assert_close(result.q_halt, halt)
    torch.testing.assert_close(result.q_continue, go_on)
    torch.testing.assert_close(result.total, result.lm + 0.5 * halt + 0.5 * go_on)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1000), cut=st.integers(1, SLOTS - 1))
def test_losses_of_a_batch_are_the_sums_of_those_of_its_parts(kind: str, seed: int, cut: int) -> None:
    values = batch(seed)
    whole = parts(losses(**values, kind=kind))
    first = parts(losses(**rows(values, slice(None, cut)), kind=kind))
    second = parts(losses(**rows(values, slice(cut, None)), kind=kind))
    torch.testing.assert_close(whole, first + second, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_tokens_and_padding_slots_give_neither_loss_nor_gradient(kind: str) -> None:
    values = batch()
    values["logits"].requires_grad_()
    values["q"].requires_grad_()
    before = losses(**values, kind=kind)
    before.total.backward()
    unlabelled = values["labels"] == IGNORE
    assert values["logits"].grad[unlabelled].abs().max() == 0
    assert values["logits"].grad[~unlabelled].abs().sum(-1).min() > 0
    assert values["q"].grad[2].abs().max() == 0
    assert values["q"].grad[[0, 1, 3, 4, 5]].abs().min() > 0

    changed = {name: value.detach().clone() for name, value in values.items()}
    changed["logits"][unlabelled] += 5.0
    changed["q"][2] = 7.0
    changed["solved"][2] = True
    changed["target_continue"][2] = 1.0
    assert torch.equal(parts(losses(**changed, kind=kind)), parts(before))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_padding_has_loss_zero(kind: str) -> None:
    assert parts(losses(**rows(batch(), [2, 2]), kind=kind)).tolist() == [0, 0, 0, 0]


def test_without_a_target_there_is_nothing_to_continue_to() -> None:
    values = batch() | {"target_continue": None}
    result = losses(**values, kind="softmax")
    assert result.q_continue == 0
    torch.testing.assert_close(result.total, result.lm + 0.5 * result.q_halt)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_logits_are_summed_up_in_more_than_bfloat16(kind: str) -> None:
    values = batch()
    values["logits"] = values["logits"].bfloat16()
    exact = losses(**(values | {"logits": values["logits"].double()}), kind=kind)
    assert float(losses(**values, kind=kind).lm) == pytest.approx(float(exact.lm), rel=1e-5)


def test_a_slot_without_a_target_teaches_its_continue_value_nothing_and_all_else_as_before() -> None:
    values = batch()
    values["q"].requires_grad_(True)
    values["target_continue"][[0, 3]] = NO_TARGET
    result = losses(**values, kind="softmax")
    result.total.backward()
    assert values["q"].grad[[0, 3], 1].tolist() == [0, 0]
    assert values["q"].grad[[1, 4, 5], 1].abs().min() > 0
    others = rows(values, [1, 4, 5])
    torch.testing.assert_close(result.q_continue, losses(**others, kind="softmax").q_continue)
    torch.testing.assert_close(result.q_halt, losses(**batch(), kind="softmax").q_halt)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_that_the_loss_takes_the_logarithm_of(kind: str) -> None:
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)) * 3
    labels = torch.arange(10).view(2, 5) % 7
    found = probabilities(logits, kind)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 5))
    at_label = found.gather(-1, labels[..., None]).squeeze(-1)
    torch.testing.assert_close(-at_label.log(), cross_entropy(logits, labels, kind))


def test_entropy_is_the_mean_over_blank_cells() -> None:
    logits = torch.zeros(2, 3, 4)
    logits[:, 0, 0] = 1e4
    blank = torch.tensor([[True, True, False], [False, False, False]])
    found = mean_entropy(logits, blank, "softmax")
    assert found.tolist() == pytest.approx([math.log(4) / 2, 0.0]), "one cell sure, one not; none blank"
