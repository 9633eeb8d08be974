"""Plain version of a realization of the redundancy experiment: tables cut, labels inferred anew, counted by hand."""

from statistics import mean

from crowdtruth.truth import infer_labels
from tests.reference.metrics import detection_scores, matthews_correlation


def ratings_left(ratings, order, k):
    """Ratings of the first k raters of each FOV that has so many; `order` is FOV → raters as they were drawn."""
    drawn = {(fov, rater) for fov, raters in order.items() if len(raters) >= k for rater in raters[:k]}
    return ratings[[pair in drawn for pair in zip(ratings["fov"], ratings["rater"], strict=True)]]


def inferred(ratings, *, is_crowd=False, **options):
    """Anchor → label, and anchor → class → probability, from a table of the ratings that are left."""
    if ratings.empty:
        return {}, {}
    rows = ratings.assign(cohort="all", condition="all")
    side = float("nan") if is_crowd else 0.0
    anchors = rows[["anchor", "fov"]].drop_duplicates().assign(xmin=side, ymin=side, xmax=side + 1, ymax=side + 1)
    truth = infer_labels(rows, anchors, **options).truth
    classes = [name.removeprefix("prob_") for name in truth if name.startswith("prob_")]
    probabilities = {row["anchor"]: {c: row[f"prob_{c}"] for c in classes} for _, row in truth.iterrows()}
    return dict(zip(truth["anchor"], truth["label"], strict=True)), probabilities


def area_under_roc(scores, is_class):
    """Share of the pairs of an item of the class and another one in which the first has more; ties count half."""
    inside = [s for s, yes in zip(scores, is_class, strict=True) if yes]
    outside = [s for s, yes in zip(scores, is_class, strict=True) if not yes]
    if not inside or not outside:
        return None
    return mean((a > b) + 0.5 * (a == b) for a in inside for b in outside)


def areas(true, probabilities):
    """Class → area, "micro", "macro"; probabilities among the classes that occur in `true`, with sum one."""
    classes = sorted(set(true))
    kept = [(t, {c: p.get(c, 0.0) for c in classes}) for t, p in zip(true, probabilities, strict=True)]
    kept = [(t, {c: p[c] / sum(p.values()) for c in classes}) for t, p in kept if sum(p.values()) > 0]
    each = {c: area_under_roc([p[c] for _, p in kept], [t == c for t, _ in kept]) for c in classes}
    defined = [area for area in each.values() if area is not None]
    micro = area_under_roc([p[c] for _, p in kept for c in classes], [t == c for t, _ in kept for c in classes])
    return each | {"micro": micro, "macro": mean(defined) if defined else None}


def scores(labels, probabilities, truth, unfound, true_classes, *, has_detection=True):
    """(metric, class) → value, None where undefined. `truth` is judged anchor → class, "" for no object."""
    has_label = {a: labels.get(a, "") not in ("", "undetected") for a in truth}
    found = [a for a in truth if truth[a] and has_label[a]]
    missed = [truth[a] for a in truth if truth[a] and not has_label[a]] + list(unfound)
    true, assigned = [truth[a] for a in found], [labels[a] for a in found]
    every = sorted({*true, *assigned})
    values = {}
    if has_detection:
        n_wrong = sum(has_label[a] for a in truth if not truth[a])
        names = (("precision", ""), ("recall", ""), ("f1", ""))
        values |= dict(zip(names, detection_scores(len(found), n_wrong, len(missed)), strict=True))
        for c in true_classes:
            values["recall", c] = detection_scores(true.count(c), 0, missed.count(c))[1]
    right = sum(t == a for t, a in zip(true, assigned, strict=True))
    values["class_accuracy", ""] = right / len(found) if found else None
    values["mcc", ""] = matthews_correlation(true, assigned, every) if found else None
    area = areas(true, [probabilities[a] for a in found])
    values |= {("auroc", name): area.get(name) for name in ("micro", "macro", *true_classes)}
    for c in true_classes:
        is_true, is_assigned = [t == c for t in true], [a == c for a in assigned]
        values["class_mcc", c] = matthews_correlation(is_true, is_assigned, [True, False]) if found else None
    return values
