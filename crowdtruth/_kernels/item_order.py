"""Ratings brought into item order by a counting sort, each as one code."""

from typing import Any

from crowdtruth._kernels._jit import kernel


@kernel
def order_by_item(item: Any, rater: Any, label: Any, n_classes: int, starts: Any, codes: Any) -> None:  # noqa: PLR0917
    """Codes ``rater * n_classes + label`` in item order, into `codes`, (n_ratings,).

    item, rater, label (n_ratings,). `starts`, (n_items + 2,), all zero before: the ratings of item i come to lie in
    ``codes[starts[i]:starts[i + 1]]``.
    """
    for r in range(item.shape[0]):
        starts[item[r] + 2] += 1
    for i in range(1, starts.shape[0]):
        starts[i] += starts[i - 1]
    for r in range(item.shape[0]):
        place = starts[item[r] + 1]
        codes[place] = rater[r] * n_classes + label[r]
        starts[item[r] + 1] = place + 1


@kernel
def sort_within_items(starts: Any, codes: Any, n_classes: int) -> int:
    """Sort the codes of each item, so that the order of the input changes no bit of a result; count the repeats.

    Returns the number of ratings beyond the first of an item by a rater.
    """
    n_repeats = 0
    for i in range(starts.shape[0] - 1):
        _shell_sort(codes, starts[i], starts[i + 1])
        for r in range(starts[i] + 1, starts[i + 1]):
            n_repeats += codes[r] // n_classes == codes[r - 1] // n_classes
    return n_repeats


@kernel
def _shell_sort(codes: Any, begin: int, end: int) -> None:
    """Sort ``codes[begin:end]`` in place: an insertion sort where few, never quadratic."""
    gap = 1
    while gap < (end - begin) // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for r in range(begin + gap, end):
            code, place = codes[r], r
            while place >= begin + gap and codes[place - gap] > code:
                codes[place] = codes[place - gap]
                place -= gap
            codes[place] = code
        gap //= 3
