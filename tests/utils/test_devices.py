"""What a processor is good at, and a model that is made ready for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hrm_rl.runs import loading
from hrm_rl.utils.devices import computes_bfloat16
from tests.helpers.served import half_trained_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "has_bf16", "has_amx", "fast"),
    [
        ("DEFAULT", False, False, False),
        ("AVX2", False, False, False),
        ("AVX512", False, False, False),
        ("AVX512", True, False, True),
        ("AVX512", False, True, True),
    ],
)
def test_a_cpu_is_asked_for_its_instructions(
    capability: str, has_bf16: bool, has_amx: bool, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx, raising=False)
    assert computes_bfloat16(CPU) == fast
    assert computes_bfloat16(torch.device("cuda")), "every GPU that torch still supports does, if slowly"


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_model_thinks_in_float32_where_bfloat16_is_slow(
    fast: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "computes_bfloat16", lambda device: fast)
    loaded = replace(half_trained_model())
    before = loaded.model.compute_dtype
    try:
        loaded.model.compute_dtype = torch.bfloat16
        assert loaded.on(CPU) is loaded
        assert loaded.model.compute_dtype == expected
    finally:
        loaded.model.compute_dtype = before
