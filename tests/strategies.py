"""Generated inputs that several tests share: boxes and marks on a coarse grid, where ties are the rule."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

CORNERS = ["xmin", "ymin", "xmax", "ymax"]


def boxes(most_coordinate: int = 6, longest_side: int = 6) -> st.SearchStrategy[tuple[int, int, int, int]]:
    """One box with integer corners."""
    place, side = st.integers(0, most_coordinate), st.integers(1, longest_side)
    return st.tuples(place, place, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def box_lists(max_size: int = 12) -> st.SearchStrategy[np.ndarray]:
    """Boxes (n, 4) on a coarse grid: many ties, many equal boxes."""
    return st.lists(boxes(), max_size=max_size).map(lambda rows: np.array(rows, dtype=float).reshape(-1, 4))


def varied_boxes(max_size: int = 30) -> st.SearchStrategy[np.ndarray]:
    """Boxes (n, 4) from a hundredth of a pixel to thousands of pixels, of any shape, anywhere."""
    place = st.floats(-1e4, 1e4, width=32)
    side = st.sampled_from([0.01, 0.3, 1.0, 3.0, 3.9, 4.0, 15.0, 17.0, 64.0, 1000.0, 30_000.0])
    box = st.tuples(place, place, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    near = st.tuples(boxes(40, 60), st.sampled_from([1.0, 4.0, 16.0])).map(lambda b: tuple(c * b[1] for c in b[0]))
    return st.lists(st.one_of(box, near), max_size=max_size).map(lambda rows: np.array(rows, float).reshape(-1, 4))


thresholds = st.sampled_from([1e-9, 0.05, 0.25, 1 / 3, 0.5, 0.6, 0.75, 0.9, 1.0])


@st.composite
def marks(draw: st.DrawFn, max_size: int = 12) -> pd.DataFrame:
    """Annotations of up to two FOVs, four raters, two conditions and two labels, on few different boxes."""
    shapes = draw(st.lists(boxes(4, 5), min_size=1, max_size=6))
    row = st.tuples(
        st.sampled_from(["f1", "f1", "f2"]),
        st.sampled_from(["ann", "bob", "cat", "dan"]),
        st.sampled_from(["c1", "c1", "c2"]),
        st.sampled_from(shapes),
        st.sampled_from(["tumor", "stroma"]),
    )
    rows = draw(st.lists(row, max_size=max_size))
    columns = ["annotation", "fov", "rater", "condition", *CORNERS, "label", "kind"]
    table = [
        (str(i), fov, rater, cond, *map(float, box), label, "box")
        for i, (fov, rater, cond, box, label) in enumerate(rows)
    ]
    frame = pd.DataFrame(table, columns=columns)
    return frame.astype({c: "float64" if c in CORNERS else "str" for c in columns})
