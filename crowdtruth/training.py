"""The training table: what a detector learns from the inferred labels of one cohort under one condition.

One row per anchor that exists with some probability, with the posterior over the classes given that it exists, and an
outline where raters drew one or accepted a suggested one whose boundary was judged correct.
"""

from collections.abc import Collection

import pandas as pd

from crowdtruth.boxes import aligned_iou
from crowdtruth.checks import CORNERS
from crowdtruth.taxonomy import UNDETECTED

MIN_P_EXISTS = 0.05
"""Anchors that exist with at most this probability are no training rows (design choice, not the paper's)."""

_PROBABILITY = "prob_"


def training_table(
    truth: pd.DataFrame,
    anchors: pd.DataFrame,
    members: pd.DataFrame,
    annotations: pd.DataFrame,
    *,
    cohort: str,
    condition: str,
    raters: Collection[str],
) -> pd.DataFrame:
    """Soft targets of every anchor that exists with probability above .05.

    Parameters
    ----------
    truth : inferred labels, one row per anchor × cohort × condition
    anchors : one row per anchor; gives the order of the rows
    members : one row per annotation, with its anchor
    annotations : the marks, for their outlines
    cohort, condition : whose labels, under which condition
    raters : the raters of the cohort; only their outlines count

    Returns
    -------
    one row per anchor
        fov, anchor, cohort, condition, xmin, ymin, xmax, ymax, label, p_exists, prob_<class> … (given that the anchor
        exists; they sum to one), coords_x, coords_y, has_outline. `label` is that of `truth`: it can be ``undetected``
        or empty although p_exists is above .05.

    Raises
    ------
    ValueError
        If there are inferred labels, but none of this cohort under this condition, or they have no `undetected`.
    """
    chosen = truth[(truth["cohort"] == cohort) & (truth["condition"] == condition)]
    undetected = f"{_PROBABILITY}{UNDETECTED}"
    if chosen.empty and len(truth):
        raise ValueError(f"no inferred labels of cohort {cohort!r} under condition {condition!r} to train on")
    if undetected not in chosen:
        raise ValueError("labels without the class 'undetected' (a crowd table?) say nothing about existence")
    chosen = chosen[1 - chosen[undetected] > MIN_P_EXISTS]
    table = anchors[["fov", "anchor", *CORNERS]].merge(
        chosen.drop(columns=["fov", *CORNERS]), on="anchor", how="inner", validate="one_to_one"
    )
    classes = [c for c in map(str, table.columns) if c.startswith(_PROBABILITY) and c != undetected]
    p_exists = 1 - table[undetected]
    given_existence = table[classes].div(table[classes].sum(axis=1), axis=0)
    outlines = outlines_of_anchors(table, members, annotations, condition=condition, raters=raters)
    outlines = table[["anchor"]].merge(outlines, on="anchor", how="left").fillna({"coords_x": "", "coords_y": ""})
    return pd.concat(
        [
            table[["fov", "anchor", "cohort", "condition", *CORNERS, "label"]],
            p_exists.rename("p_exists"),
            given_existence,
            outlines[["coords_x", "coords_y"]],
            (outlines["coords_x"] != "").rename("has_outline"),
        ],
        axis=1,
    )


def outlines_of_anchors(
    table: pd.DataFrame,
    members: pd.DataFrame,
    annotations: pd.DataFrame,
    *,
    condition: str,
    raters: Collection[str],
) -> pd.DataFrame:
    """The outline of each anchor that has one: (anchor, coords_x, coords_y).

    A traced outline (kind ``polygon``) is taken before an accepted suggestion (``click``), and a suggestion only where
    its boundary was judged correct (`boundary_correct` in `table`). Among several, the one whose box overlaps the
    anchor's box best; ties go to the outline that sorts first.
    """
    marks = members[["annotation", "anchor"]].merge(
        annotations[["annotation", "rater", "condition", *CORNERS, "kind", "coords_x", "coords_y"]], on="annotation"
    )
    marks = marks[(marks["condition"] == condition) & marks["rater"].isin(raters) & (marks["coords_x"] != "")]
    marks = marks.merge(
        table[["anchor", *CORNERS, "boundary_correct"]], on="anchor", suffixes=("", "_anchor"), how="inner"
    )
    traced = marks["kind"] == "polygon"
    accepted = (marks["kind"] == "click") & (marks["boundary_correct"] == 1)
    marks = marks[traced | accepted].copy()
    marks["accepted"] = marks["kind"] == "click"
    marks["distance"] = 1 - aligned_iou(marks[CORNERS], marks[[f"{c}_anchor" for c in CORNERS]])
    marks = marks.sort_values(["accepted", "distance", "coords_x", "coords_y"])
    return marks.drop_duplicates("anchor")[["anchor", "coords_x", "coords_y"]]
