"""Small synthetic studies that several tests share."""

from crowdtruth.synthetic import PRESETS, ConditionParameters, SuggestionParameters, synthesise

BOX = ["xmin", "ymin", "xmax", "ymax"]
DEMO = PRESETS["demo"]
ALWAYS = SuggestionParameters(
    coverage=1.0, distractor_coverage=1.0, correct=1.0, shift=0.0, scale=0.0, wrong_shift=0.3, wrong_scale=0.3,
    click_correct=0.6, click_wrong=0.0,
)  # fmt: skip


def everyone(*names, **options):
    """Conditions in which all raters of the demo are asked."""
    return tuple(ConditionParameters(name, {"SP": 2, "NP": 6}, **options) for name in names)


def independent(**changes):
    """The demo's raters with nothing shared between raters or rounds, all asked everywhere, under one condition."""
    options = {"conditions": everyone("all"), "shared_difficulty": 0.0, "persistence": 0.0, "n_fovs": 60}
    return synthesise("demo", seed=5, **{**options, **changes})


def marks_on_truth(made):
    """Marks on nuclei, with the true class and box of the nucleus beside them."""
    marks = made.study.annotations.merge(made.origins, on="annotation")
    truth = made.truth.drop(columns=["fov", "coords_x", "coords_y"])
    return marks.merge(truth, left_on="source", right_on="nucleus", suffixes=("", "_true"))
