"""Boxes as tensors, beside plain Python and beside torchvision."""

import math
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nucls_model import box_ops
from nucls_model.box_ops import (
    BACKGROUND,
    BETWEEN,
    area,
    check_boxes,
    clip,
    decode,
    encode,
    grouped_nms,
    is_sized,
    match,
    nms,
    pairwise_iou,
    prior_boxes,
    sample,
)
from tests import strategies
from tests.nucls_model import operator_cases
from tests.reference import box_ops as reference
from tests.reference.boxes import iou as plain_iou

WEIGHTS = operator_cases.WEIGHTS
FLAT = [3.0, 2.0, 3.0, 5.0]


def tensor(boxes: np.ndarray) -> Tensor:
    return torch.as_tensor(boxes, dtype=torch.float64)


def with_flat(boxes: np.ndarray) -> np.ndarray:
    """Boxes and one without an area."""
    return np.concatenate([boxes, [FLAT]])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (torch.zeros(4), r"floats of the shape \(n, 4\), got torch.float32 \(4,\)"),
        (torch.zeros(2, 5), r"shape \(n, 4\), got torch.float32 \(2, 5\)"),
        (torch.zeros(2, 4, dtype=torch.int64), r"must be floats .* got torch.int64 \(2, 4\)"),
        (torch.tensor([[0, 0, 1, 1], [0, math.nan, 1, 1]]), "boxes must be finite; row 1 is"),
        (torch.tensor([[0, 0, math.inf, 1]]), "boxes must be finite; row 0 is"),
        (torch.tensor([[0.0, 0, 1, 1], [0, 5, 1, 4]]), r"ymin <= ymax; row 1 is \[0.0, 5.0, 1.0, 4.0\]"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        area,
        lambda boxes: pairwise_iou(torch.zeros(0, 4), boxes),
        lambda boxes: nms(boxes, torch.zeros(len(boxes)), 0.5),
        lambda boxes: decode(torch.zeros(len(boxes), 4), boxes, WEIGHTS),
        check_boxes,
    ],
    ids=["area", "pairwise_iou", "nms", "decode", "check_boxes"],
)
def test_public_functions__say_which_box_is_wrong(function: Callable, boxes: Tensor, message: str) -> None:
    message = message.replace("boxes must", "(boxes|references) must")
    with pytest.raises(ValueError, match=message):
        function(boxes)


@given(strategies.box_lists(), strategies.box_lists())
def test_pairwise_iou__matches_the_plain_version(boxes: np.ndarray, other: np.ndarray) -> None:
    boxes, other = with_flat(boxes), with_flat(other)
    expected = [[plain_iou(a, b) for b in other] for a in boxes]
    np.testing.assert_array_equal(pairwise_iou(tensor(boxes), tensor(other)), expected)
    np.testing.assert_array_equal(area(tensor(boxes)), [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes])


def test_pairwise_iou__of_no_boxes_has_no_rows() -> None:
    none, two = torch.zeros(0, 4), torch.tensor([[0.0, 0, 1, 1], [1, 1, 2, 2]])
    assert pairwise_iou(none, two).shape == (0, 2)
    assert pairwise_iou(two, none).shape == (2, 0)


def test_pairwise_iou__has_the_gradient_of_its_formula() -> None:
    a = torch.tensor([[0.0, 0.1, 3.2, 4.1], [1.3, 0.7, 4.4, 3.6]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[0.5, 0.4, 2.9, 5.3], [8.0, 8.0, 9.0, 9.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pairwise_iou, (a, b))


@given(strategies.box_lists(), st.randoms(use_true_random=False))
def test_encode__matches_the_plain_version_and_decode_inverts_it(boxes: np.ndarray, random: Any) -> None:
    references = boxes[random.sample(range(len(boxes)), len(boxes))] + 0.25
    deltas = encode(tensor(boxes), tensor(references), WEIGHTS)
    expected = [reference.encode(a, b, WEIGHTS) for a, b in zip(boxes, references, strict=True)]
    np.testing.assert_allclose(deltas, np.reshape(expected, (-1, 4)), atol=1e-12)
    np.testing.assert_allclose(decode(deltas, tensor(references), WEIGHTS)[:, 0], boxes, atol=1e-12)


def test_decode__gives_each_reference_its_boxes_and_limits_their_growth() -> None:
    deltas = torch.tensor([[0.0, 0, 0, 0, 1, -2, 90, 90], [3, 1, -4, 2, 0, 0, -900, 0]], dtype=torch.float64)
    references = torch.tensor([[0.0, 0, 4, 8], [2, 3, 5, 4]], dtype=torch.float64)
    expected = [
        [reference.decode(row[4 * k : 4 * k + 4], box, WEIGHTS) for k in range(2)]
        for row, box in zip(deltas.tolist(), references.tolist(), strict=True)
    ]
    boxes = decode(deltas, references, WEIGHTS)
    np.testing.assert_allclose(boxes, expected, atol=1e-12)
    torch.testing.assert_close(boxes[0, 1, 2:] - boxes[0, 1, :2], torch.tensor([250.0, 500.0], dtype=torch.float64))
    assert decode(torch.zeros(0, 8), torch.zeros(0, 4), WEIGHTS).shape == (0, 2, 4)


def test_encode_and_decode__have_the_gradients_of_their_formulas() -> None:
    boxes = torch.tensor([[0.0, 1, 3, 5], [2, 2, 9, 4]], dtype=torch.float64, requires_grad=True)
    references = torch.tensor([[1.0, 1, 4, 4], [0, 0, 8, 5]], dtype=torch.float64)
    deltas = torch.tensor([[0.3, -1, 2, 0.5], [1, 1, -3, 4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: encode(b, references, WEIGHTS), boxes)
    assert torch.autograd.gradcheck(lambda d: decode(d, references, WEIGHTS), deltas)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode(torch.ones(2, 4), torch.ones(1, 4), WEIGHTS), "2 boxes, 1 references"),
        (lambda: encode(torch.tensor([FLAT]), torch.tensor([[0.0, 0, 1, 1]]), WEIGHTS), "boxes need an area; row 0"),
        (
            lambda: encode(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([FLAT]), WEIGHTS),
            "references need an area; row 0",
        ),
        (lambda: decode(torch.zeros(2, 3), torch.zeros(2, 4), WEIGHTS), r"\(n, k \* 4\), got \(2, 3\)"),
        (lambda: decode(torch.zeros(2, 4), torch.zeros(1, 4), WEIGHTS), "2 deltas, 1 references"),
        (lambda: decode(torch.full((1, 4), math.nan), torch.zeros(1, 4), WEIGHTS), "deltas must be finite; row 0"),
        (lambda: nms(torch.zeros(2, 4), torch.zeros(3), 0.5), "2 boxes, 3 scores"),
        (lambda: nms(torch.zeros(2, 4), torch.tensor([0, math.nan]), 0.5), "scores must be finite; row 1 is nan"),
        (lambda: nms(torch.zeros(2, 4), torch.zeros(2), 1.5), r"must lie in \[0, 1\], got 1.5"),
        (lambda: grouped_nms(torch.zeros(2, 4), torch.zeros(2), torch.zeros(1), 0.5), "2 boxes, 2 scores, 1 groups"),
        (lambda: match(torch.zeros(3), 0.7, 0.3, False), r"\(n_truth, n_candidates\), got \(3,\)"),
        (lambda: match(torch.zeros(1, 3), 0.3, 0.7, False), "0 <= background <= foreground <= 1, got 0.7 and 0.3"),
        (lambda: sample(torch.zeros(2), torch.zeros(3), 1, 0.5, torch.Generator()), "2 matched, 3 ignored"),
        (lambda: sample(torch.zeros(2), torch.zeros(2), -1, 0.5, torch.Generator()), "n >= 0 .* got -1 and 0.5"),
        (lambda: sample(torch.zeros(2), torch.zeros(2), 1, 2, torch.Generator()), "got 1 and 2"),
        (lambda: prior_boxes(1, 1, 8, 8, [12, 0], [1]), r"must be positive, got \[12, 0\] and \[1\]"),
    ],
)
def test_public_functions__say_what_does_not_fit(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_clip__cuts_at_the_image_and_passes_gradients_inside() -> None:
    boxes = torch.tensor([[[-3.0, 2, 4, 30], [40, 40, 50, 50]]], requires_grad=True)
    cut = clip(boxes, height=20, width=10)
    assert cut.tolist() == [[[0, 2, 4, 20], [10, 20, 10, 20]]]
    cut.sum().backward()
    assert boxes.grad.tolist() == [[[0, 1, 1, 0], [0, 0, 0, 0]]]


def test_is_sized__takes_the_shorter_side() -> None:
    assert is_sized(torch.tensor([[0.0, 0, 9, 1], [0, 0, 1, 9], [0, 0, 2, 2], FLAT]), 2).tolist() == [
        False,
        False,
        True,
        False,
    ]


@given(
    strategies.box_lists(30),
    st.lists(st.integers(0, 4), min_size=31, max_size=31),
    st.lists(st.integers(0, 2), min_size=31, max_size=31),
    strategies.thresholds,
    st.sampled_from([1, 20, 200, 2**18]),
)
def test_nms__matches_a_greedy_loop_whatever_the_block(
    boxes: np.ndarray, scores: list[int], groups: list[int], threshold: float, pairs: int
) -> None:
    boxes = with_flat(boxes)
    scores, groups = scores[: len(boxes)], groups[: len(boxes)]
    inputs = tensor(boxes), torch.tensor(scores, dtype=torch.float64)
    with patch.dict(box_ops._PAIRS_AT_ONCE, cpu=pairs):
        assert nms(*inputs, threshold).tolist() == reference.nms(boxes, scores, threshold)
        kept = grouped_nms(*inputs, torch.tensor(groups), threshold)
    assert kept.tolist() == reference.grouped_nms(boxes, scores, groups, threshold)


def test_nms__follows_a_chain_of_removals() -> None:
    boxes = torch.tensor([[float(x), 0, x + 10.0, 10] for x in range(0, 400, 4)])  # each overlaps the next by 3 / 7
    kept = nms(boxes, torch.linspace(1, 0, len(boxes)), 0.4)
    assert kept.tolist() == list(range(0, len(boxes), 2))


def test_nms__of_no_boxes_keeps_none() -> None:
    none = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert none.dtype == torch.int64
    assert none.shape == grouped_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), 0.5).shape == (0,)


@given(st.integers(0, 4), st.integers(0, 9), st.randoms(use_true_random=False), st.booleans())
def test_match__matches_the_plain_version(n_truth: int, n_candidates: int, random: Any, keep_best: bool) -> None:
    iou = [[random.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.9]) for _ in range(n_candidates)] for _ in range(n_truth)]
    matrix = torch.tensor(iou, dtype=torch.float64).reshape(n_truth, n_candidates)
    expected = reference.match(iou, n_candidates, 0.7, 0.3, keep_best)
    matched = match(matrix, 0.7, 0.3, keep_best)
    assert matched.dtype == torch.int64
    assert matched.tolist() == expected


def test_match__keeps_all_best_candidates_of_a_truth_but_not_of_one_without_any() -> None:
    iou = torch.tensor([[0.2, 0.2, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert match(iou, 0.7, 0.3, keep_best=True).tolist() == [0, 0, BACKGROUND, BACKGROUND]
    assert match(iou, 0.7, 0.15, keep_best=False).tolist() == [BETWEEN, BETWEEN, BACKGROUND, BACKGROUND]


def drawn(seed: int, n: int, share: float = 0.25) -> list[int]:
    """Rows of 10 foreground, 20 ignored foreground, 50 background, 10 ignored background, 10 in between."""
    kinds = [(3, 10, False), (1, 20, True), (BACKGROUND, 50, False), (BACKGROUND, 10, True), (BETWEEN, 10, False)]
    matched = torch.cat([torch.full((n_rows,), kind) for kind, n_rows, _ in kinds])
    ignored = torch.cat([torch.full((n_rows,), is_ignored) for _, n_rows, is_ignored in kinds])
    return sample(matched, ignored, n, share, torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize(
    ("n", "share", "n_foreground", "n_background"),
    [
        (20, 0.25, 5, 15),
        (22, 0.25, 5, 17),
        (40, 0.5, 10, 30),
        (100, 0.5, 10, 50),
        (20, 0.0, 0, 20),
        (8, 1.0, 8, 0),
        (0, 1, 0, 0),
    ],
)
def test_sample__draws_its_shares_of_what_may_be_drawn(
    n: int, share: float, n_foreground: int, n_background: int
) -> None:
    rows = drawn(0, n, share)
    assert len(set(rows)) == len(rows) == n_foreground + n_background
    assert all(row < 10 for row in rows[:n_foreground])
    assert all(30 <= row < 80 for row in rows[n_foreground:])


def test_sample__is_its_generators_and_draws_all_alike() -> None:
    assert drawn(1, 40) == drawn(1, 40) != drawn(2, 40)
    counts = torch.bincount(torch.tensor([row for seed in range(600) for row in drawn(seed, 20)]), minlength=100)
    foreground, background = counts[:10] / 600, counts[30:80] / 600  # expected 5 / 10 and 15 / 50
    assert (foreground - 0.5).abs().max() < 4.5 * (0.5 * 0.5 / 600) ** 0.5
    assert (background - 0.3).abs().max() < 4.5 * (0.3 * 0.7 / 600) ** 0.5


@given(
    st.integers(1, 4), st.integers(1, 4), st.sampled_from([4, 8.5, 32]), st.sampled_from([(12, 24, 48), (25.0,), (7,)])
)
def test_prior_boxes__match_the_plain_version(height: int, width: int, stride: float, sizes: tuple) -> None:
    aspects = (0.5, 1.0, 2.0)
    boxes = prior_boxes(height, width, stride, 2 * stride, sizes, aspects)
    assert boxes.tolist() == reference.prior_boxes(height, width, (stride, 2 * stride), sizes, aspects)


def test_operators__are_the_same_on_an_accelerator() -> None:
    operator_cases.need_accelerator()
    cases = operator_cases.small_cases()
    answers = our_answers({name: value.cuda() for name, value in cases.items()})
    for name, answer in our_answers(cases).items():
        torch.testing.assert_close(answers[name], answer, check_device=False, msg=lambda m, name=name: f"{name}: {m}")
    matched, ignored = torch.arange(300) % 3 - 2, torch.arange(300) % 7 == 0
    draws = [
        sample(*x, 40, 0.5, torch.Generator().manual_seed(0))
        for x in ((matched, ignored), (matched.cuda(), ignored.cuda()))
    ]
    assert draws[0].equal(draws[1].cpu())


def our_answers(cases: dict[str, Tensor]) -> dict[str, Any]:
    """What `operator_cases.answers` holds of this file, by our functions."""
    crowd, scores = cases["crowd"], cases["scores"]
    return {
        "nms": [nms(crowd, scores, iou) for iou in (0.1, 0.3, 0.5)],
        "grouped_nms": grouped_nms(crowd, scores, cases["groups"], 0.1),
        "pairwise_iou": pairwise_iou(crowd, cases["other"]),
        "encode": encode(crowd, cases["other"], WEIGHTS),
        "decode": decode(cases["deltas"], crowd, WEIGHTS)[:, 0],
        "match": [match(cases["iou"], 0.7, 0.3, best) for best in (False, True)],
        "prior_boxes": prior_boxes(2, 3, 16, 8, (12.0, 25.0), (0.5, 1.0, 2.0)),
    }


def test_operators__give_torchvisions_golden_answers() -> None:
    cases, expected = operator_cases.read_golden()
    for name, answer in our_answers(cases).items():
        torch.testing.assert_close(
            answer, expected[name], rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("seed", range(5))
def test_operators__give_torchvisions_answers_live(seed: int) -> None:
    operator_cases.need_torchvision()
    generator = torch.Generator().manual_seed(seed)
    n = 1500
    cases = {
        **operator_cases.small_cases(),
        "crowd": operator_cases.random_boxes(n, 300, generator).double(),  # flat boxes make large deltas of small
        "scores": torch.rand(n, generator=generator, dtype=torch.float64),
        "groups": torch.randint(0, 5, (n,), generator=generator),
        "other": operator_cases.random_boxes(n, 300, generator).double(),  # differences, which float32 rounds
        "deltas": torch.randn(n, 4, generator=generator).double() * 8,
        "iou": torch.rand(30, n, generator=generator),
    }
    expected = operator_cases.answers(cases)
    for name, answer in our_answers(cases).items():
        torch.testing.assert_close(
            answer, expected[name], rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}"
        )
