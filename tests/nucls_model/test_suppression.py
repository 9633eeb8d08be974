"""One NMS for all classes finds a nucleus once, one for each finds it as each."""

import torch

from nucls_model.suppression import ClassNms, GlobalNms, objectness_of, real_probabilities

#                              background, tumour, stroma, AMBIGUOUS
PROBABILITIES = torch.tensor(
    [[0.1, 0.5, 0.3, 0.1], [0.3, 0.1, 0.6, 0.0], [0.97, 0.01, 0.01, 0.01], [0.4, 0.0, 0.0, 0.6]]
)
BOXES = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [30, 30, 40, 40]])


def test_global_nms__finds_a_nucleus_once_with_its_whole_vector() -> None:
    kept = GlobalNms(0.2, 0.05, 300)(BOXES[:, None], PROBABILITIES, torch.ones(4, 1, dtype=torch.bool))
    assert kept.row.tolist() == [0, 3]  # 1 lies on 0, 2 is background
    assert kept.label.tolist() == [0, 0]
    torch.testing.assert_close(real_probabilities(PROBABILITIES[kept.row])[0], torch.tensor([0.625, 0.375]))


def test_global_nms__ranks_by_objectness_with_ambiguous_in_it() -> None:
    assert objectness_of(PROBABILITIES)[3].item() == torch.tensor(0.6).item()
    kept = GlobalNms(0.9, 0.05, 2)(BOXES[:, None], PROBABILITIES, torch.ones(4, 1, dtype=torch.bool))
    assert kept.row.tolist() == [0, 1]


def test_class_nms__finds_a_nucleus_as_each_class() -> None:
    boxes = BOXES[:, None].expand(4, 3, 4)
    kept = ClassNms(0.2, 0.05, 300)(boxes, PROBABILITIES, torch.ones(4, 3, dtype=torch.bool))
    assert list(zip(kept.row.tolist(), kept.label.tolist(), strict=True)) == [(1, 1), (0, 0)]
    assert kept.kind.tolist() == kept.label.tolist()


def test_nms__leaves_out_boxes_without_size() -> None:
    is_valid = torch.tensor([[False], [True], [True], [True]])
    assert GlobalNms(0.2, 0.05, 300)(BOXES[:, None], PROBABILITIES, is_valid).row.tolist() == [1, 3]


def test_real_probabilities__are_uniform_where_only_ambiguous_is_left() -> None:
    torch.testing.assert_close(real_probabilities(PROBABILITIES)[3], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(real_probabilities(PROBABILITIES).sum(dim=1), torch.ones(4))
