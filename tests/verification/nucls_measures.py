"""What the paper printed of its study, measured on another of its shape, by its definitions of nuclei and scores.

Nothing here is crowdtruth's own table: the measures are written out once more, from the marks up, beside scikit-learn.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score, roc_curve

import crowdtruth as ct
from crowdtruth.agreement import krippendorff_alpha
from crowdtruth.synthetic import SyntheticStudy
from crowdtruth.taxonomy import UNDETECTED, group_labels, load_taxonomy
from crowdtruth.truth import ConvergenceWarning

COHORTS = {"P": ("SP", "JP"), "NP": ("NP",)}
TAXONOMY = load_taxonomy("nucls")
AMBIGUOUS = "AMBIGUOUS"
CONTROL, SHOWN = "U-control", "E"

ASKED = {
    "annotations": 97_343.0,
    "nuclei in E": 1_238.0,
    "alpha of Ps, main": 0.555,
    "alpha of Ps, super": 0.661,
    "alpha of NPs, super": 0.603,
    "average precision of NPs": 0.68,
    "AUROC of NPs, micro": 0.93,
    "AUROC of NPs, macro": 0.75,
    "MCC of NPs, lowest": 0.607,
    "MCC of NPs, highest": 0.842,
    "kappa of Ps with themselves": 0.874,
    "kappa of NPs with themselves": 0.740,
    "proportion clicked in E": 0.417,
    "DICE in E": 0.85,
    "sTILs detected by 16 NPs": 0.533,
    "fibroblasts detected by 16 NPs": 0.214,
    "standard deviation of the kappas of Ps": 0.079,
    "standard deviation of the kappas of NPs": 0.126,
    "standard deviation of proportions clicked": 0.173,
    "standard deviation of DICE": 0.059,
}
"""Values the paper prints (their order is that of the documentation)."""
NOT_CHOSEN = frozenset(name for name in ASKED if name.startswith("standard deviation"))
"""Spreads between raters come out as they do."""


class Inferred:
    """The study located and inferred with the paper's settings."""

    def __init__(self, made: SyntheticStudy) -> None:
        self.study = made.study
        self.located = ct.cluster_annotations(made.study.annotations, method="demotion", inclusive=True)
        raters = made.study.raters.assign(cohort=made.study.raters["cohort"].replace({"SP": "P", "JP": "P"}))
        self.ratings = ct.rate_anchors(self.located.members, made.study.assignments, raters, self.located.anchors)
        self.clicked = self._clicked()
        self.truth = {level: self._infer(level) for level in ("raw", "main", "super")}

    def _clicked(self) -> pd.DataFrame:
        clicks = self.study.annotations[self.study.annotations["kind"] == "click"]
        return self.located.members[self.located.members["annotation"].isin(clicks["annotation"])]

    def _infer(self, level: str) -> pd.DataFrame:
        return ct.infer_labels(
            self.ratings,
            self.located.anchors,
            estimator=ct.DawidSkene(start=0.7, n_iter=70, tolerance=0.0, pseudo_counts=0.0),
            min_detections=2,
            classes=TAXONOMY.classes,
            grouping=None if level == "raw" else TAXONOMY.grouping(level),
            clicked=self.clicked[["anchor", "rater", "condition"]],
        ).truth

    def of(self, level: str, cohort: str, condition: str) -> pd.DataFrame:
        """Inferred labels by anchor."""
        truth = self.truth[level]
        return truth[(truth["cohort"] == cohort) & (truth["condition"] == condition)].set_index("anchor")

    def nuclei(self, level: str, condition: str) -> pd.Series:
        """The final anchors and their P-truth: detected by two pathologists, not undetected, not ambiguous."""
        truth = self.of(level, "P", condition)
        return truth.loc[truth["is_object"] & (truth["label"] != AMBIGUOUS), "label"]

    def labels(self, level: str, cohort: str, condition: str, anchors: Sequence[str]) -> pd.DataFrame:
        """What each rater of the cohort said of these anchors: anchors × raters, empty where not asked."""
        rows = self.ratings[(self.ratings["cohort"] == cohort) & (self.ratings["condition"] == condition)]
        rows = rows[rows["anchor"].isin(set(anchors))]
        label = rows["label"] if level == "raw" else group_labels(rows["label"], TAXONOMY.grouping(level))
        wide = rows.assign(label=label).pivot(index="anchor", columns="rater", values="label")
        return wide.reindex(anchors)


def measure(made: SyntheticStudy) -> dict[str, float]:
    """All of `ASKED`, of one study."""
    inferred = Inferred(made)
    nuclei = inferred.nuclei("main", SHOWN)
    return {
        "annotations": float(len(made.study.annotations)),
        "nuclei in E": float(len(nuclei)),
        "alpha of Ps, main": _alpha(inferred, "main", "P"),
        "alpha of Ps, super": _alpha(inferred, "super", "P"),
        "alpha of NPs, super": _alpha(inferred, "super", "NP"),
        **_detection(inferred),
        **_classification(inferred, nuclei),
        **_participants(inferred, nuclei),
        **_self_agreement(inferred),
        **_clicks(inferred, nuclei),
        **_dice(inferred, nuclei),
        **_ease(inferred),
    }


def _alpha(inferred: Inferred, level: str, cohort: str) -> float:
    nuclei = inferred.nuclei(level, SHOWN).index
    return float(krippendorff_alpha(inferred.labels(level, cohort, SHOWN, nuclei).fillna("").to_numpy(dtype=str)))


def _detection(inferred: Inferred) -> dict[str, float]:
    of_np, of_p = inferred.of("main", "NP", SHOWN), inferred.of("main", "P", SHOWN)
    rows = of_np[of_np["n_detected"] >= 2]
    is_nucleus = of_p["is_object"].reindex(rows.index).astype(bool)
    return {"average precision of NPs": average_precision_score(is_nucleus, 1 - rows["prob_undetected"])}


def _classification(inferred: Inferred, nuclei: pd.Series) -> dict[str, float]:
    of_np = inferred.of("main", "NP", SHOWN).reindex(nuclei.index)
    rows = of_np[of_np["is_object"].astype(bool)]
    classes = sorted(nuclei.loc[rows.index].unique())
    probability = rows[[f"prob_{name}" for name in classes]].to_numpy()
    mass = probability.sum(axis=1)
    probability = probability[mass > 0] / mass[mass > 0, None]
    true = nuclei.loc[rows.index].to_numpy()[mass > 0, None] == np.array(classes)
    left = true.any(axis=0)  # a class may leave with the rows without mass
    true, probability, classes = true[:, left], probability[:, left], list(np.array(classes)[left])
    curves = [roc_curve(true[:, k], probability[:, k])[:2] for k in range(len(classes))]
    grid = np.unique(np.concatenate([fpr for fpr, _ in curves]))
    mean = np.mean([np.interp(grid, fpr, tpr) for fpr, tpr in curves], axis=0)
    return {
        "AUROC of NPs, micro": float(roc_auc_score(true.ravel(), probability.ravel())),
        "AUROC of NPs, macro": float(np.trapezoid(mean, grid)),
        **{f"AUROC of {name}": roc_auc_score(true[:, k], probability[:, k]) for k, name in enumerate(classes)},
    }


def _participants(inferred: Inferred, nuclei: pd.Series) -> dict[str, float]:
    labels = inferred.labels("main", "NP", SHOWN, nuclei.index)
    mcc = [_pooled_mcc(nuclei, labels[rater]) for rater in labels]
    return {"MCC of NPs, lowest": min(mcc), "MCC of NPs, highest": max(mcc)}


def _pooled_mcc(true: pd.Series, assigned: pd.Series) -> float:
    """Sums of the one-vs-rest tables of all classes among detected nuclei, and the MCC of their sum."""
    found = assigned.notna() & (assigned != UNDETECTED)
    true, assigned = true[found], assigned[found]
    n, n_right, n_classes = len(true), (true == assigned).sum(), true.nunique()
    n_wrong_inside = (assigned.isin(true.unique()) & (true != assigned)).sum()
    tp, fn, fp = n_right, n - n_right, n_wrong_inside
    tn = n * n_classes - tp - fn - fp
    return float((tp * tn - fp * fn) / np.sqrt(float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def _self_agreement(inferred: Inferred) -> dict[str, float]:
    shared = inferred.nuclei("main", CONTROL).index.intersection(inferred.nuclei("main", SHOWN).index)
    found = {}
    for cohort in COHORTS:
        before, after = (inferred.labels("main", cohort, condition, shared) for condition in (CONTROL, SHOWN))
        kappa = [_kappa(before[rater], after[rater]) for rater in before.columns.intersection(after.columns)]
        found[f"kappa of {cohort}s with themselves"] = float(np.nanmean(kappa))
        found[f"standard deviation of the kappas of {cohort}s"] = float(np.nanstd(kappa))
    return found


def _kappa(before: pd.Series, after: pd.Series) -> float:
    both = before.notna() & after.notna() & (before != UNDETECTED) & (after != UNDETECTED)
    return cohen_kappa_score(before[both], after[both]) if both.sum() > 1 else np.nan


def _clicks(inferred: Inferred, nuclei: pd.Series) -> dict[str, float]:
    in_e = inferred.located.members[inferred.located.members["condition"] == SHOWN]
    marks = in_e[in_e["anchor"].isin(nuclei.index)].groupby("rater").size()
    clicks = inferred.clicked[(inferred.clicked["condition"] == SHOWN) & inferred.clicked["anchor"].isin(nuclei.index)]
    share = clicks.groupby("rater").size().reindex(marks.index, fill_value=0) / marks
    return {"proportion clicked in E": share.mean(), "standard deviation of proportions clicked": share.std(ddof=0)}


def _dice(inferred: Inferred, nuclei: pd.Series) -> dict[str, float]:
    """Of the clicked outline of nuclei with a traced one, where the NPs accept it."""
    outlines = inferred.study.annotations.merge(inferred.located.members[["annotation", "anchor"]], on="annotation")
    traced = outlines[(outlines["kind"] == "polygon") & (outlines["condition"] == CONTROL)].set_index("anchor")
    clicked = outlines[(outlines["kind"] == "click") & (outlines["condition"] == SHOWN)]
    clicked = clicked.drop_duplicates("anchor").set_index("anchor")
    correct = inferred.of("main", "NP", SHOWN)["boundary_correct"] == 1
    shared = traced.index.intersection(clicked.index).intersection(nuclei.index)
    shared = shared[correct.reindex(shared).fillna(False).to_numpy(dtype=bool)]
    dice = [_polygon_dice(traced.loc[anchor], clicked.loc[anchor]) for anchor in shared]
    return {"DICE in E": float(np.mean(dice)), "standard deviation of DICE": float(np.std(dice))}


def _polygon_dice(one: pd.Series, other: pd.Series) -> float:
    from shapely import Polygon

    shapes = []
    for row in (one, other):
        x, y = (np.array(row[name].split(","), float) for name in ("coords_x", "coords_y"))
        shapes.append(Polygon(np.stack([x, y], axis=1)).buffer(0))
    return 2 * shapes[0].intersection(shapes[1]).area / (shapes[0].area + shapes[1].area)


def _ease(inferred: Inferred) -> dict[str, float]:
    shares = {}
    n_detected = inferred.of("raw", "NP", SHOWN)["n_detected"]
    for name, level, label in (("sTILs", "super", "sTIL"), ("fibroblasts", "raw", "fibroblast")):
        truth = inferred.of(level, "P", SHOWN)
        objects = truth.index[truth["is_object"] & (truth["label"] == label)]
        shares[f"{name} detected by 16 NPs"] = float((n_detected.reindex(objects).fillna(0) >= 16).mean())
    return shares


def main() -> None:
    """Asked beside got, as the table of the documentation: the default seed, and means (ranges) of fives of seeds."""
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        got = pd.DataFrame([measure(ct.synthesise("nucls", seed=seed)) for seed in range(10)]).T
    print("| | paper | seed 0 | seeds 0–4 | seeds 5–9 |\n|---|---|---|---|---|")
    for name, asked in ASKED.items():
        fives = [_mean_and_range(got.loc[name, seeds]) for seeds in (range(5), range(5, 10))]
        print(f"| {name} | {_number(asked)} | {_number(got.loc[name, 0])} | {' | '.join(fives)} |")


def _mean_and_range(values: pd.Series) -> str:
    return f"{_number(values.mean())} ({_number(values.min())}–{_number(values.max())})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value > 1 else f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    main()
