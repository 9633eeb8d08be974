"""Counts behind every coefficient of agreement: values per item, pairs within items, tables of two raters.

Codes of labels run from 0 to ``n_classes - 1``; ``n_classes`` itself is a missing label in matrices.
"""

from typing import Any

import numpy as np

from crowdtruth._kernels._jit import kernel
from crowdtruth._kernels._simd import add_to, load, scale

_BLOCK = 512  # items whose counts stay in the nearest cache
_BYTE = 256  # items whose ratings of a class, 255 at most, add up within 16 bits
_ROWS = 64  # items turned into doubles at a time


@kernel
def codes_of_whole_numbers(values: Any, codes: Any) -> bool:
    """``codes[i] = values[i]``, 63 where NaN; False if a value is none of 0 … 62. Both (n,).

    No branch and no early end, so that the loop runs in vectors.
    """
    is_fit = True
    for i in range(values.size):
        value = values[i]
        is_nan = value != value  # noqa: PLR0124 - NaN is not itself
        is_inside = (value >= 0) & (value < 63)
        code = np.uint8(value if is_inside else 63)
        codes[i] = code
        is_fit &= is_nan | (is_inside & (code == value))
    return is_fit


@kernel
def codes_seen(codes: Any) -> int:
    """Which codes from 0 to 63 occur in `codes` (n,), as bits of one number."""
    seen = np.uint64(0)
    for i in range(codes.size):
        seen |= np.uint64(1) << np.uint64(codes[i])
    return seen  # type: ignore[return-value]


@kernel
def count_in_bytes(values: Any, first: int, words: Any) -> int:
    """Ratings of item i of class ``first + c`` in byte c of ``words[i]``, for eight classes; (n_items,) uint64.

    values : (n_items, at most 255 raters) numbers, NaN where missing. In column order; `count_rows_in_bytes` does the
        same in row order.
    The largest class of all, 0 without any; 63 or more if a value is none of 0 … 62, and `words` are of no use.

    A rating adds 1, shifted to its byte. No branch and no early end, so that the loop runs in vectors.
    """
    most = 0
    for begin in range(0, values.shape[0], _BLOCK):
        block = words[begin : begin + _BLOCK]
        block[:] = 0
        for j in range(values.shape[1]):
            column = values[begin : begin + _BLOCK, j]
            for i in range(block.size):
                code = _class_of(column[i])
                most = max(most, code)
                byte = code - first
                block[i] += np.uint64((byte >= 0) & (byte < 8)) << np.uint64((byte & 7) * 8)
    return most


@kernel
def count_rows_in_bytes(values: Any, first: int, words: Any) -> int:
    """What `count_in_bytes` does, item by item: fast where the ratings of an item lie side by side."""
    most = 0
    for i in range(values.shape[0]):
        word = np.uint64(0)
        for j in range(values.shape[1]):
            code = _class_of(values[i, j])
            most = max(most, code)
            byte = code - first
            word += np.uint64((byte >= 0) & (byte < 8)) << np.uint64((byte & 7) * 8)
        words[i] = word
    return most


@kernel
def _class_of(value: Any) -> Any:
    """A whole number from 0 to 62 as it is, -8 for NaN, 64 for any other."""
    is_inside = (value >= 0) & (value < 63)
    code = np.int32(value if is_inside else 0)
    if is_inside & (code == value):
        return code
    return np.int32(-8) if value != value else np.int32(64)  # noqa: PLR0124 - NaN is not itself


@kernel
def add_unlike(words: Any, unlike: Any, given: Any) -> None:
    """Add what nominal alpha is made of, in whole numbers, so that no order of items changes it.

    words : (n_words, n_items) uint64, ratings of class ``8 * w + c`` in byte c of ``words[w]``.
    unlike : (256,) gains at m the ordered pairs of unlike ratings, m² − Σ n[c]², of items with m ratings.
    given : (8 * n_words,) gains the ratings by class of items with two or more.
    """
    n_items = words.shape[1]
    total, squares = np.empty(_BYTE, np.uint64), np.empty(_BYTE, np.uint64)
    for begin in range(0, n_items, _BYTE):
        size = min(_BYTE, n_items - begin)
        total[:] = 0
        squares[:] = 0
        for w in range(words.shape[0]):
            _add_bytes(words[w, begin : begin + size], total, squares)
        for w in range(words.shape[0]):
            _add_classes(words[w, begin : begin + size], total, given[8 * w : 8 * w + 8])
        for i in range(size):
            unlike[np.int64(total[i])] += np.int64(total[i]) * np.int64(total[i]) - np.int64(squares[i])


@kernel
def _add_bytes(words: Any, total: Any, squares: Any) -> None:
    """Add the eight bytes of each word, and their squares: (n_items,) uint64 each."""
    for i in range(words.size):
        ratings, pairs = np.uint64(0), np.uint64(0)
        for c in range(8):
            n = (words[i] >> np.uint64(8 * c)) & np.uint64(255)
            ratings += n
            pairs += n * n
        total[i] += ratings
        squares[i] += pairs


@kernel
def _add_classes(words: Any, total: Any, given: Any) -> None:
    """Add up byte c of all words of items with two ratings or more to ``given[c]``: at most 256 words, eight classes.

    Every other byte at a time, in 16 bits each, which 256 bytes do not overflow.
    """
    bytes_apart = np.uint64(0x00FF00FF00FF00FF)
    even, odd = np.uint64(0), np.uint64(0)
    for i in range(words.size):
        word = words[i] if total[i] > 1 else np.uint64(0)
        even += word & bytes_apart
        odd += (word >> np.uint64(8)) & bytes_apart
    for c in range(4):
        given[2 * c] += np.int64((even >> np.uint64(16 * c)) & np.uint64(0xFFFF))
        given[2 * c + 1] += np.int64((odd >> np.uint64(16 * c)) & np.uint64(0xFFFF))


@kernel
def count_matrix(codes: Any, counts: Any) -> None:
    """Add the ratings of each item by class to `counts`, (n_items, n_classes + 1): missing ones in the last column.

    codes : (n_items, n_raters), in either memory order.
    """
    n_items, n_raters = codes.shape
    for begin in range(0, n_items, _BLOCK):
        end = min(begin + _BLOCK, n_items)
        for j in range(n_raters):
            for i in range(begin, end):
                counts[i, codes[i, j]] += 1


@kernel
def count_ratings(item: Any, label: Any, counts: Any) -> None:
    """Add ratings (n_ratings,) in any order to `counts`, (n_items, n_classes)."""
    for r in range(item.size):
        counts[item[r], label[r]] += 1


@kernel
def add_pairs(counts: Any, factor: Any, group: Any, pairs: Any) -> None:
    """Add the ordered pairs of ratings within each item, times the item's factor, to ``pairs[group]``.

    counts : (n_items, at least n_classes) ratings by class.
    factor : (n_items,) weight of a pair; 0 leaves an item out.
    group : (n_items,).
    pairs : (n_groups, n_classes, n_classes).
    """
    n_classes = pairs.shape[1]
    for i in range(counts.shape[0]):
        if factor[i] == 0:
            continue
        table = pairs[group[i]]
        for c in range(n_classes):
            share = factor[i] * counts[i, c]
            if share > 0:
                for k in range(n_classes):
                    table[c, k] += share * (counts[i, k] - (c == k))


@kernel
def add_squares(counts: Any, factor: Any, group: Any, squares: Any, sums: Any, lanes: Any) -> None:  # noqa: PLR0917
    """What `add_pairs` adds, in vectors: all pairs, and those of a rating with itself.

    counts (n_items, at least n_classes), factor and group (n_items,) as there; n_lanes is at least n_classes.
    squares : (n_groups * n_lanes, n_lanes) gains factor * n[c] * n[k] in row ``group * n_lanes + c``.
    sums : (n_groups, n_lanes) gains factor * n[c].
    """
    n_lanes, n_classes = len(lanes), min(counts.shape[1], len(lanes))
    rows = np.zeros((_ROWS, n_lanes))
    for begin in range(0, counts.shape[0], _ROWS):
        end = min(begin + _ROWS, counts.shape[0])
        for i in range(begin, end):
            for c in range(n_classes):
                rows[i - begin, c] = counts[i, c]
        for i in range(begin, end):
            if factor[i] == 0:
                continue
            row = scale(load(rows, i - begin, lanes), factor[i])
            add_to(sums, group[i], row)
            for c in range(n_classes):
                n = rows[i - begin, c]
                if n > 0:
                    add_to(squares, group[i] * n_lanes + c, scale(row, n))


@kernel
def add_shares(counts: Any, total: Any, group: Any, shares: Any) -> None:
    """Add each item's shares of the classes to ``shares[group]``, (n_groups, n_classes).

    counts (n_items, at least n_classes), total (n_items,) ratings; items without any add nothing.
    """
    n_classes = shares.shape[1]
    for i in range(counts.shape[0]):
        if total[i] > 0:
            for c in range(n_classes):
                shares[group[i], c] += counts[i, c] / total[i]


@kernel
def count_two_raters(first: Any, second: Any, starts: Any, scratch: Any, tables: Any) -> None:
    """Tables of the labels of two raters, by group of items: ``tables[group, label of first, label of second]``.

    first, second : (n_items,) codes in order of the groups, those of the first times n_classes + 1; the code of a
        missing label is n_classes.
    starts : (n_groups + 1,) the items of group g are ``starts[g]:starts[g + 1]``.
    scratch : (4, at least (n_classes + 1) ** 2); tables : (n_groups, n_classes, n_classes), overwritten.

    Four tables take turns, because adding to one cell twice in a row waits for the memory.
    """
    n_classes = tables.shape[1]
    width = n_classes + 1
    for g in range(starts.size - 1):
        scratch[:] = 0
        begin, end = starts[g], starts[g + 1]
        quarters = begin + (end - begin) // 4 * 4
        for i in range(begin, quarters, 4):
            for turn in range(4):
                scratch[turn, first[i + turn] + second[i + turn]] += 1
        for i in range(quarters, end):
            scratch[0, first[i] + second[i]] += 1
        for c in range(n_classes):
            for k in range(n_classes):
                cell = c * width + k
                tables[g, c, k] = scratch[0, cell] + scratch[1, cell] + scratch[2, cell] + scratch[3, cell]
