"""The training table of one cohort and condition."""

import pandas as pd

from crowdtruth.options import chosen_conditions, split_at_condition
from crowdtruth.steps.run import Run, Tables, cohorts_of
from crowdtruth.training import training_table


def training_choice(run: Run) -> tuple[str, str] | None:
    """Cohort and condition of the training table; None if it is not wanted."""
    study, spec = run.study, run.options.train_on
    if spec == "none":
        return None
    cohorts = cohorts_of(run)
    conditions = chosen_conditions(run.options, study.conditions)
    there_are = [(cohort, condition) for cohort in cohorts for condition in conditions]
    choices = there_are
    if spec:
        cohort, condition = split_at_condition(spec, cohorts, conditions)
        choices = [choice for choice in there_are if choice[0] == cohort and condition in (None, choice[1])]
    if len(choices) != 1:
        names = ", ".join(f"{cohort}@{condition}" for cohort, condition in there_are)
        given = f"--train-on {spec}" if spec else "without --train-on a run"
        raise ValueError(
            f"{given} does not say whose labels training.csv holds: choose --train-on one of {names}, "
            "or leave the table out with --train-on none"
        )
    return choices[0]


def make_training(run: Run) -> Tables:
    """The training table of one cohort and condition; a crowd table has none."""
    if run.study.is_crowd or (choice := training_choice(run)) is None:
        return {}
    tables, study = run.results.table, run.study
    cohort, condition = choice
    members = cohorts_of(run)[cohort]
    no_members = study.annotations.assign(anchor=pd.Series(dtype="str"))
    training = training_table(
        tables("truth"),
        tables("anchors"),
        no_members if study.is_located else tables("members"),
        study.annotations,
        cohort=cohort,
        condition=condition,
        raters=study.raters.loc[study.raters["cohort"].isin(members), "rater"],
    )
    return {"training": training}
