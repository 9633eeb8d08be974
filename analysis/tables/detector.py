"""Tables of detectors, from evaluations: Table 1, S3, S4, S5, S6, the printed values beside ours."""

import pandas as pd

from analysis.evaluations import (
    FINAL,
    TRIAL,
    TUNING_FOLD,
    Evaluations,
    is_backbone,
    is_configuration,
    is_scale,
    last_of,
    one_per,
    over_folds,
)
from analysis.page import PAIR, Rows, rows_where
from analysis.published import published_tables

UNCORRECTED = "uncorrected"
_WHOM = ["trained_on", "tested_on"]
_BOXES = ("ap_50", "map_50_95")
_OUTLINES = ("median_iou", "median_dice")
_NAMES = ("accuracy", "mcc", "auroc_micro", "auroc_macro")
_SUPER = {"overall": "", "tumor": "tumor_any", "stromal": "nonTIL_stromal", "sTILs": "sTIL"}  # as Table S4 calls them
_BY_FOLD = {"corrected": "Table 1, corrected, by fold", "P-truth": "Table 1, P-truth, by fold"}
_MEANS = "Table 1, Table S6: mean and standard deviation (population) over folds"
_BACKBONES = "Table S3: AP@.5 on fold 1 (nan: out of memory)"
_CONFIGURATIONS = "Table S5: configurations on fold 1"
_CLASSES = "Table S4: mean and standard deviation over folds"
_OVER_FOLDS = "population standard deviation over folds; scores as in docs/methods/evaluation.md"
_SCORES = ["value", "low", "high", "n"]


def pick_final(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """The final model by what it was trained and tested on: each fold, and over the folds. (Table 1)"""
    rows = evaluations.final
    return _by_fold(rows[rows["trained_on"] != UNCORRECTED], "Table 1")


def why_no_final(evaluations: Evaluations) -> str:
    """Table 1 needs the final model."""
    rows = evaluations.final
    return (
        "" if (rows["trained_on"] != UNCORRECTED).any() else _without("the final model (configuration 3)", evaluations)
    )


def pick_uncorrected(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """The final model, trained on labels nobody corrected. (Table S6)"""
    rows = evaluations.final
    return _by_fold(rows[rows["trained_on"] == UNCORRECTED], "Table S6")


def why_no_uncorrected(evaluations: Evaluations) -> str:
    """Table S6 needs detectors trained on uncorrected labels."""
    rows = evaluations.final
    return (
        ""
        if (rows["trained_on"] == UNCORRECTED).any()
        else _without(f"labels nobody corrected (trained_on {UNCORRECTED})", evaluations)
    )


def pairs_final(rows: Rows) -> pd.DataFrame:
    """Printed means and standard deviations of the final model beside ours. (Table 1)"""
    return _pairs_of_means(rows["means"], "Table 1")


def pairs_uncorrected(rows: Rows) -> pd.DataFrame:
    """Printed means and standard deviations of the model of uncorrected labels beside ours. (Table S6)"""
    return _pairs_of_means(rows["means"], "Table S6")


def pick_classes(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """MCC and AUROC of super-classes over the folds. (Table S4)"""
    rows = evaluations.final
    rows = rows[(rows["level"] == "super") & (rows["trained_on"] != UNCORRECTED)]
    of_class = rows["metric"].isin(["mcc", "auroc"]) & (rows["assigned"] == "")
    one_per(rows[of_class], _WHOM, "Table S4")
    means = over_folds(rows[of_class], [*_WHOM, "class", "metric"])
    printed = published_tables()[_CLASSES].assign(trained_on="corrected")
    printed["class"] = printed["class"].map(_SUPER)
    keys = ["trained_on", "tested_on", "class", "metric"]
    parts = [
        printed[[*keys[:3], metric, f"{metric}_sd"]]
        .set_axis([*keys[:3], "published_mean", "published_sd"], axis=1)
        .assign(metric=metric)
        for metric in ("mcc", "auroc")
    ]
    return {"means": means.merge(pd.concat(parts), on=keys, how="left")}


def why_no_classes(evaluations: Evaluations) -> str:
    """Table S4 needs super-classes."""
    rows = evaluations.final
    has = (rows["level"] == "super") & (rows["trained_on"] != UNCORRECTED)
    return "" if has.any() else _without("the final model with super-classes", evaluations)


def pairs_classes(rows: Rows) -> pd.DataFrame:
    """Printed means and standard deviations of super-classes beside ours. (Table S4)"""
    named = rows["means"].assign(score=rows["means"]["metric"] + " of " + rows["means"]["class"].replace("", "all"))
    return _pairs_of_means(named, "Table S4")


def pick_configurations(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """Configurations on the fold that settings were chosen on. (Table S5)"""
    rows = _tuning(evaluations)
    rows = _scores(rows[is_backbone(rows) & is_scale(rows)])
    rows = rows[(rows["score"] == "ap_50") | rows["metric"].isin(["mcc", "auroc_micro", "auroc_macro"])]
    rows = rows.assign(configuration=rows["configuration"].replace("", FINAL))
    printed = published_tables()[_CONFIGURATIONS].melt("configuration", var_name="score", value_name="published")
    return {"configurations": _on_tuning_fold(rows, printed, ["configuration", "score"], "Table S5")}


def why_no_configurations(evaluations: Evaluations) -> str:
    """Table S5 needs fold 1."""
    rows = _tuning(evaluations)
    has = is_backbone(rows) & is_scale(rows)
    return "" if has.any() else _without(f"fold {TUNING_FOLD}, on which configurations are compared", evaluations)


def pairs_configurations(rows: Rows) -> pd.DataFrame:
    """Printed scores of configurations beside ours. (Table S5)"""
    table = rows["configurations"]
    quantity = "configuration " + table["configuration"] + ", fold 1: " + table["score"]
    return _pairs(table, quantity, "Table S5", "on fold 1")


def pick_scales(evaluations: Evaluations) -> dict[str, pd.DataFrame]:
    """AP@.5 by scale factor and backbone, on the fold that settings were chosen on. (Table S3)"""
    rows = _of_scales(evaluations)
    printed = published_tables()[_BACKBONES].melt("scale_factor", var_name="backbone", value_name="published")
    return {"scales": _on_tuning_fold(rows, printed, ["scale_factor", "backbone"], "Table S3")}


def why_no_scales(evaluations: Evaluations) -> str:
    """Table S3 needs fold 1, with scale factor and backbone named."""
    has = len(_of_scales(evaluations))
    return "" if has else _without(f"fold {TUNING_FOLD} with its scale factor and backbone", evaluations)


def pairs_scales(rows: Rows) -> pd.DataFrame:
    """Printed AP@.5 by scale factor and backbone beside ours. (Table S3)"""
    table = rows["scales"]
    quantity = "AP@.5 on fold 1, scale factor " + table["scale_factor"].map("{:g}".format) + ", " + table["backbone"]
    return _pairs(table, quantity, "Table S3", "all classes as one")


def _of_scales(evaluations: Evaluations) -> pd.DataFrame:
    """AP@.5 of the final configuration on the tuning fold, where scale factor and backbone are named."""
    rows = rows_where(_tuning(evaluations), metric="ap_50", level="objectness")
    return rows[is_configuration(rows) & rows["scale_factor"].notna() & (rows["backbone"] != "")]


def _on_tuning_fold(rows: pd.DataFrame, printed: pd.DataFrame, keys: list[str], what: str) -> pd.DataFrame:
    """Scores with the printed ones, which are of corrected labels."""
    one_per(rows, [*_WHOM, *(key for key in keys if key in TRIAL)], what)
    printed = printed.assign(trained_on="corrected", tested_on="corrected")
    table = rows[[*_WHOM, *keys, *_SCORES]].merge(printed, on=[*_WHOM, *keys], how="left")
    return table.sort_values([*_WHOM, *keys], ignore_index=True)


def _without(what: str, evaluations: Evaluations) -> str:
    """What the evaluations lack."""
    return f"none of {evaluations.name} is of {what}"


def _tuning(evaluations: Evaluations) -> pd.DataFrame:
    """Scores on the fold that settings were chosen on, at the end of the training."""
    rows = evaluations.metrics
    return last_of(rows[(rows["fold"] == TUNING_FOLD) & (rows["trained_on"] != UNCORRECTED)])


def _scores(metrics: pd.DataFrame) -> pd.DataFrame:
    """The scores of the paper's tables, under the tables' names: ap_50, median_iou, main_mcc, …"""
    whole = metrics[metrics["class"] == ""]
    is_box = (whole["level"] == "objectness") & whole["metric"].isin(_BOXES)
    is_outline = (whole["level"] == "") & whole["metric"].isin(_OUTLINES)
    is_name = whole["metric"].isin(_NAMES)
    prefix = whole["level"].where(is_name, "").map(lambda level: f"{level}_" if level else "")
    return whole.assign(score=prefix + whole["metric"])[is_box | is_outline | is_name]


def _by_fold(metrics: pd.DataFrame, what: str) -> dict[str, pd.DataFrame]:
    """Scores of each fold, and their mean and standard deviation, with the printed ones."""
    rows = one_per(_scores(metrics), _WHOM, what)
    keys = [*_WHOM, "fold", "score"]
    printed = pd.concat(
        table.astype({"fold": str}).melt("fold", var_name="score", value_name="published").assign(tested_on=tested_on)
        for tested_on, table in ((name, published_tables()[title]) for name, title in _BY_FOLD.items())
    ).assign(trained_on="corrected")
    folds = rows[[*keys, *_SCORES]].merge(printed, on=keys, how="left").sort_values([*_WHOM, "fold"], kind="stable")
    means = over_folds(rows, [*_WHOM, "score"])
    printed_means = published_tables()[_MEANS].rename(
        columns={"metric": "score", "mean": "published_mean", "sd": "published_sd", "folds": "published_folds"}
    )
    means = means.merge(printed_means, on=[*_WHOM, "score"], how="left")
    means["published_folds"] = means["published_folds"].fillna("")
    return {"means": means, "folds": folds.reset_index(drop=True)}


def _pairs_of_means(means: pd.DataFrame, source: str) -> pd.DataFrame:
    """Printed and computed means and standard deviations, one below the other."""
    what = means["trained_on"] + " → " + means["tested_on"] + ": " + means["score"]
    parts = [
        _pairs(means.assign(published=means[f"published_{name}"], value=means[name]), what + words, source, _OVER_FOLDS)
        for name, words in (("mean", ", mean"), ("sd", ", standard deviation"))
    ]
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def _pairs(table: pd.DataFrame, quantity: pd.Series, source: str, definition: str) -> pd.DataFrame:
    """What a table compares, where there is a printed value."""
    none = pd.Series(float("nan"), index=table.index)
    pairs = pd.DataFrame(
        {
            "published": table["published"],
            "ours": table["value"],
            "low": table.get("low", none),
            "high": table.get("high", none),
            "quantity": quantity,
        }
    )
    return pairs.assign(source=source, definition=definition)[table["published"].notna()][[*PAIR]]
