"""Section 6, the hardest anchors as a review queue."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from crowdtruth.checks import CORNERS
from crowdtruth.report.crops import Crops, View, crop_images
from crowdtruth.report.inputs import PROBABILITY, Inputs, Section
from crowdtruth.report.ranking import RANKED, rank_anchors
from crowdtruth.report.words import as_float, counted, joined, number
from crowdtruth.taxonomy import UNDETECTED

_NAME, _TITLE = "hardest", "Where to look first"
_IN_TABLE = 25
_CONTEXT = 3.5  # sides of the anchor that are shown
_LEAST_SIDE = 96
_SHOWN_PROBABILITY = 0.005


def hardest(inputs: Inputs, n_ranked: int = RANKED) -> Section:
    """The review queue: its data for the page's script, and its head as a table."""
    if not inputs.has("truth") or not inputs.has("ratings"):
        return Section(_NAME, _TITLE, absent="The results hold no inferred labels, so nothing can be ranked.")
    ratings = inputs.table("ratings")
    ratings = ratings.assign(label=ratings["label"].astype("str"), said=inputs.grouped(ratings["label"].astype("str")))
    chosen = rank_anchors(inputs.table("truth"), ratings.assign(label=ratings["said"]), inputs.members_of, n_ranked)
    if chosen.empty:
        return Section(_NAME, _TITLE, absent="All raters are of one mind on every anchor: there is nothing to review.")
    ratings = _with_boxes(inputs, ratings[ratings["anchor"].astype("str").isin(set(chosen["anchor"]))])
    queue = _queue(inputs, chosen, ratings)
    items, crops = queue["items"], _crops(inputs, queue)
    for place, uri in crops.of.items():
        items[place]["image"] = uri
    words = _words(chosen, inputs, len(crops.of))
    body = {
        "data": as_script_data(queue), "table": _table(chosen, ratings), "problems": crops.problems,
        "has_boxes": bool(items[0]["box"]), "colors": queue["classes"], "raters": [name for name, _ in queue["raters"]],
        "classes": [name for name, _ in queue["classes"]], "n_items": len(items),
    }  # fmt: skip
    return Section(_NAME, _TITLE, words, body, brief=words[0])


def as_script_data(value: Any) -> str:
    r"""JSON that may stand in a script element, whatever its texts hold.

    Examples
    --------
    >>> print(as_script_data({"label": "</script>"}))
    {"label":"\u003c/script\u003e"}
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _with_boxes(inputs: Inputs, ratings: pd.DataFrame) -> pd.DataFrame:
    """Ratings as text, with annotation, kind and box of the mark they stand for; empty where there is none."""
    keys = ["anchor", "rater", "condition"]
    text = ratings.astype(dict.fromkeys((*keys, "fov", "cohort", "label", "said"), "str"))
    if inputs.study is None or not inputs.has("members"):
        return text.assign(annotation="", kind="", **dict.fromkeys(CORNERS, float("nan")))
    marks = inputs.study.annotations[["annotation", "kind", *CORNERS]]
    boxes = inputs.table("members")[["annotation", *keys]].merge(marks, on="annotation")
    text = text.merge(boxes, on=keys, how="left")
    return text.assign(annotation=text["annotation"].fillna(""), kind=text["kind"].fillna(""))


def _queue(inputs: Inputs, chosen: pd.DataFrame, ratings: pd.DataFrame) -> dict[str, Any]:
    """Names, and the anchors in terms of their places among them."""
    seen = set(ratings["said"]) | set(ratings["label"])
    classes = [*inputs.classes[:-1], *sorted(seen - set(inputs.classes)), UNDETECTED]
    colors = inputs.colors(classes)
    raters = ratings[["rater", "cohort"]].drop_duplicates().sort_values(["cohort", "rater"])
    places = {
        "class": {name: place for place, name in enumerate(classes)},
        "rater": {name: place for place, name in enumerate(raters["rater"])},
    }
    fovs = _fovs(inputs, sorted(set(chosen["fov"].astype("str"))))
    by_anchor = dict(list(ratings.groupby("anchor", sort=False)))
    truth = inputs.table("truth")
    truth = truth[truth["anchor"].astype("str").isin(set(chosen["anchor"]))]
    truth_of = dict(list(truth.astype({"anchor": "str"}).groupby("anchor", sort=False)))
    items = [
        _item(row, by_anchor.get(row["anchor"], ratings[:0]), truth_of[row["anchor"]], places, fovs)
        for row in chosen.to_dict("records")
    ]
    return {
        "classes": [[name, colors[name]] for name in classes], "raters": raters.to_numpy().tolist(),
        "fovs": list(fovs.values()), "items": items,
    }  # fmt: skip


def _fovs(inputs: Inputs, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of each FOV: name, width, height, image."""
    known = {}
    if inputs.has("fovs"):
        table = inputs.table("fovs")
        known = {str(row["fov"]): row for row in table[table["fov"].isin(names)].to_dict("records")}
    found = {}
    for name in names:
        row = known.get(name, {})
        size = {key: row[key] for key in ("width", "height") if pd.notna(row.get(key))}
        image = {"image": row["image"]} if row.get("image") else {}
        found[name] = {"fov": name, **size, **image}
    return found


def _item(row: Any, ratings: pd.DataFrame, truth: pd.DataFrame, places: Any, fovs: Any) -> dict[str, Any]:
    """One anchor of the queue, as the script reads it."""
    box = [_exact(row[corner]) for corner in CORNERS] if "xmin" in row and pd.notna(row["xmin"]) else None
    fov = fovs[str(row["fov"])]
    return {
        "anchor": row["anchor"], "fov": list(fovs).index(fov["fov"]),
        "cohort": row["cohort"], "condition": row["condition"],
        "entropy": round(row["entropy"], 4), "disagreement": round(row["disagreement"], 4), "box": box,
        "view": view_around(box, fov) if box else None, "image": "",
        "inferred": [_inferred(other, places["class"], row) for other in truth.to_dict("records")],
        "ratings": [_rating(said, places) for said in ratings.to_dict("records")],
    }  # fmt: skip


def _inferred(row: Any, classes: Mapping[str, int], main: Any) -> dict[str, Any]:
    """The inferred label of one cohort and condition with its probabilities, most probable first."""
    found = [(place, as_float(row.get(PROBABILITY + name))) for name, place in classes.items()]
    shown = [(place, round(probability, 4)) for place, probability in found if probability >= _SHOWN_PROBABILITY]
    return {
        "cohort": str(row["cohort"]), "condition": str(row["condition"]), "label": row["label"] or "",
        "is_main": str(row["cohort"]) == main["cohort"] and str(row["condition"]) == main["condition"],
        "probabilities": sorted(shown, key=lambda pair: -pair[1]),
    }  # fmt: skip


def _rating(row: Any, places: Any) -> list[Any]:
    """rater, condition, class, label as given, box or None, kind, annotation."""
    box = [_exact(row[corner]) for corner in CORNERS] if pd.notna(row["xmin"]) else None
    return [
        places["rater"][row["rater"]], row["condition"], places["class"][row["said"]], places["class"][row["label"]],
        box, row["kind"], row["annotation"],
    ]  # fmt: skip


def _exact(value: Any) -> int | float:
    """A coordinate as it was; whole ones without a decimal point."""
    return int(value) if float(value).is_integer() else float(value)


def view_around(box: Sequence[float], fov: Any) -> View:
    """A square around an anchor, moved into the FOV where its size is known."""
    side = max(_LEAST_SIDE, _CONTEXT * max(box[2] - box[0], box[3] - box[1]))
    ends = []
    for low, high, length in ((box[0], box[2], fov.get("width")), (box[1], box[3], fov.get("height"))):
        begin = (low + high - side) / 2
        if length is not None:
            begin = max(0, min(begin, length - side))
        end = begin + side if length is None else min(begin + side, max(length, high))
        ends.append((round(min(begin, low)), round(end)))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def _crops(inputs: Inputs, queue: Any) -> Crops:
    """The pieces of the images, where the study still has them."""
    images = {fov["fov"]: fov["image"] for fov in queue["fovs"] if "image" in fov}
    views = [(queue["fovs"][item["fov"]]["fov"], item["view"]) for item in queue["items"]]
    if not images or any(view is None for _, view in views):
        return Crops({}, ())
    if inputs.folder is None:
        return Crops({}, ("the study is not where it was, so its images are not shown",))
    return crop_images(inputs.folder, images, views)


def _table(chosen: pd.DataFrame, ratings: pd.DataFrame) -> list[dict[str, Any]]:
    """The head of the queue as a table."""
    rows = []
    for row in chosen.head(_IN_TABLE).to_dict("records"):
        own = ratings[(ratings["anchor"] == row["anchor"]) & (ratings["condition"] == row["condition"])]
        said = own["said"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
        rows.append({
            "anchor": row["anchor"], "fov": row["fov"], "cohort": row["cohort"], "condition": row["condition"],
            "label": row["label"] or "none", "probability": number(row["probability"]),
            "said": joined((f"{name} {count}" for name, count in said.items()), most=12),
        })  # fmt: skip
    return rows


def _words(chosen: pd.DataFrame, inputs: Inputs, n_images: int) -> list[str]:
    """What is in the queue and how to use it."""
    what = f"{counted(len(chosen), 'anchor')} of {counted(chosen['fov'].nunique(), 'FOV')}"
    if inputs.is_crowd:
        what = counted(len(chosen), "task")
    text = (
        f"{what}, hardest first: where the "
        "inferred label is undecided and the raters said different things. Settling them changes the result most."
    )
    words = [text]
    if not chosen.get("xmin", pd.Series(dtype=float)).notna().any():
        words.append("The study has no boxes; the queue shows who said what.")
    elif inputs.study is None:
        words.append("The study was not at hand when this page was made, so only the anchors' own boxes are drawn.")
    elif not n_images:
        words.append("The study has no images at hand, so boxes are drawn on a blank FOV.")
    return words
