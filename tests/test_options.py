from pathlib import Path

import pytest

from crowdtruth.options import RunOptions, cohort_members, make_options, split_at_condition


def test_make_options__paper_preset_restores_the_papers_settings() -> None:
    options = make_options(preset="paper")
    assert (options.method, options.inclusive, options.iou, options.min_detections) == ("demotion", True, 0.25, 2)
    assert (options.start, options.iterations, options.pseudo_counts, options.tolerance) == (0.7, 70, 0.0, 0.0)
    assert options.acceleration is None


def test_make_options__flags_win_over_file_and_file_over_preset(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('preset = "paper"\niou = 0.5\nmin_detections = 3\n')
    options = make_options(config=config, flags={"iou": 0.75, "classes": None, "cohort": ()})
    assert (options.iou, options.min_detections, options.method) == (0.75, 3, "demotion")


def test_make_options__reads_unions_of_cohorts_from_a_table(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('condition = "E"\n[cohort]\nP = ["SP", "JP"]\nNP = ["NP"]\n')
    options = make_options(config=config)
    assert options.cohort == ("P=SP+JP", "NP=NP")
    assert options.condition == ("E",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iuo = 0.5", r"unknown option\(s\) iuo; there are format"),
        ("iou = 'half'", "option iou takes a number or a whole number, got 'half'"),
        ("inclusive = 1", "option inclusive takes true or false, got 1"),
        ("min_detections = true", "option min_detections takes a whole number, got True"),
        ("iou = ", "run.toml: not TOML"),
        ("a." * 100_000 + "a = 1", "run.toml: not TOML: line 1: more than 64 dots"),
        ("iou = 1.5", r"iou must lie in \(0, 1\], got 1.5"),
        ("method = 'wbf'", "method must be one of cannot_link, demotion, unconstrained; got 'wbf'"),
        ("cohort = [1]", r"option cohort takes a text or a list of texts, got \[1\]"),
        ("[cohort]\nP = [1]", r"option cohort.P takes a text or a list of texts, got \[1\]"),
        ("tolerance = nan", "tolerance must be a finite number from 0 on, got nan"),
        ("pseudo_counts = inf", "pseudo_counts must be a finite number from 0 on, got inf"),
        ("start = nan", r"start must be an initial quality in \(0, 1\], or votes; got nan"),
        ("start = 'good'", r"start must be an initial quality in \(0, 1\], or votes; got 'good'"),
        ("preset = 'papier'", "preset must be one of default, paper; got 'papier'"),
        ("iterations = 0", "iterations must be a finite number from 1 on, got 0"),
    ],
)
def test_make_options__says_what_is_wrong_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "run.toml"
    config.write_text(text)
    with pytest.raises(ValueError, match=message):
        make_options(config=config)


@pytest.mark.parametrize("wrong", [{"cohort": "P"}, {"iterations": 2.5}, {"classes": 3}, {"iou": "a"}])
def test_run_options__check_their_types(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"option {next(iter(wrong))} takes"):
        RunOptions(**wrong)


def test_make_options__takes_a_regular_file_alone() -> None:
    with pytest.raises(ValueError, match="zero: expected a TOML file"):
        make_options(config=Path("/dev/zero"))


def test_run_options__are_valid_by_default() -> None:
    assert make_options() == RunOptions()


def test_cohort_members__are_each_cohort_without_specs() -> None:
    assert cohort_members([], ["NP", "JP", "NP"]) == {"JP": ("JP",), "NP": ("NP",)}


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["P=SP+XP"], "unknown cohort 'XP' in --cohort P=SP.XP; the study has JP, SP"),
        (["SP", "SP"], "cohort 'SP' is given twice"),
        (["P=SP+SP"], r"--cohort P=SP\+SP: expected a name, or NAME=A\+B with each cohort once"),
        (["=SP"], "--cohort =SP: expected a name"),
    ],
)
def test_cohort_members__refuses_what_the_study_has_not(specs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cohort_members(specs, ["SP", "JP"])


def test_cohort_members__takes_a_name_with_an_equals_sign_as_it_is() -> None:
    assert cohort_members(["a=b"], ["a=b"]) == {"a=b": ("a=b",)}


def test_make_options__reads_one_cohort_as_a_union_of_one(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("[cohort]\nP = 'all'\n")
    assert make_options(config=config).cohort == ("P=all",)


def test_make_options__a_preset_given_as_a_flag_wins_over_the_files(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('preset = "paper"\n')
    assert make_options(preset="default", config=config).method == "cannot_link"
    assert make_options(config=config).method == "demotion"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("P", ("P", None)), ("P@E", ("P", "E")), ("P@E@2", ("P", "E@2")), ("a@b.c", ("a@b.c", None)),
     ("a@b.c@E", ("a@b.c", "E"))],
)  # fmt: skip
def test_split_at_condition__names_and_conditions_may_hold_an_at_sign(spec: str, expected: tuple) -> None:
    assert split_at_condition(spec, ["P", "a@b.c"], ["E", "E@2"]) == expected


def test_split_at_condition__says_what_there_is() -> None:
    with pytest.raises(ValueError, match="'P@F' is none of NP, P, with or without @ and one of E, U"):
        split_at_condition("P@F", ["P", "NP"], ["U", "E"])
