import numpy as np
import pytest

from crowdtruth.planning import Target, check_plan, parse_price, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("mcc=.8", Target("mcc", "", 0.8)),
        (" recall:plasma_cell = 0.7 ", Target("recall", "plasma_cell", 0.7)),
        ("f1=best-.02", Target("f1", "", 0.02, True)),
        ("recall:a=b=1", Target("recall", "a=b", 1.0)),
    ],
)
def test_parse_target__reads_metric_class_and_value(text: str, target: Target):
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["mcc", "mcc=", "mcc=80", "=.8", "mcc=-.1", "mcc=best", "MCC=.8"])
def test_parse_target__says_what_a_target_reads_like(text: str):
    with pytest.raises(ValueError, match=f"a target reads METRIC=VALUE.*got '{text}'"):
        parse_target(text)


def test_parse_price__says_what_a_price_reads_like():
    assert parse_price("NP = 1.5") == ("NP", 1.5)
    with pytest.raises(ValueError, match="a price reads COHORT=PRICE, such as SP=20; got 'SP:20'"):
        parse_price("SP:20")


@pytest.mark.parametrize(
    ("target", "has_detection", "message"),
    [
        (
            Target("auroc", "micro", 0.9),
            True,
            "--target auroc:micro=0.9: a target is METRIC=VALUE for precision, recall, f1, class_accuracy, mcc, "
            "or METRIC:CLASS=VALUE for class_mcc, recall$",
        ),
        (Target("mcc", "x", 0.9), True, "--target mcc:x=0.9: a target is METRIC=VALUE for"),
        (Target("class_mcc", "", 0.02, True), True, "--target class_mcc=best-0.02: a target is METRIC=VALUE for"),
        (Target("f1", "", 0.9), False, "METRIC=VALUE for class_accuracy, mcc, or METRIC:CLASS=VALUE for class_mcc$"),
        (Target("recall", "z", 0.9), True, "--target recall:z=0.9: the study has the classes x, y"),
        (Target("mcc", "", 1.5), True, r"--target mcc=1.5: a value, or a distance from the best, lies in \[0, 1\]"),
        (Target("mcc", "", np.nan), True, "--target mcc=nan: a value"),
    ],
)
def test_check_plan__says_which_target_is_wrong(target: Target, has_detection: bool, message: str):
    with pytest.raises(ValueError, match=message):
        check_plan([target], {}, cohorts=["A"], classes=["y", "x"], has_detection=has_detection)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ({"A": 1.0, "ZZ": 3.0}, "--price ZZ=3: the study has the cohorts A, B, C"),
        ({"A": -1.0}, "--price A=-1: a price is a number from 0 on"),
        ({"A": np.inf}, "--price A=inf: a price is"),
        ({"A": np.nan}, "--price A=nan: a price is"),
    ],
)
def test_check_plan__says_which_price_is_wrong(price: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        check_plan([], price, cohorts=["C", "A", "B"])


def test_check_plan__takes_any_class_where_they_are_unknown():
    check_plan([Target("recall", "whatever", 0.9)], {"A": 0.0}, cohorts=["A"])


@pytest.mark.parametrize("text", ["mcc=0.8", "recall:x=0.75", "f1=best-0.02"])
def test_target__reads_as_it_was_written(text: str):
    assert str(parse_target(text)) == text
