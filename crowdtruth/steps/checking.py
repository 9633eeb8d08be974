"""Before the work begins: do the options fit the study?"""

import warnings

from crowdtruth.options import RunOptions, chosen_conditions, parse_preferences
from crowdtruth.planning import check_plan
from crowdtruth.resampling import group_codes
from crowdtruth.steps.judging import check_reference
from crowdtruth.steps.locating import LOCATING
from crowdtruth.steps.run import Run, Tables, cohorts_of, grouping_of
from crowdtruth.steps.simulating import prices_of, targets_of
from crowdtruth.steps.training_set import training_choice

_OF_EM = ("start", "iterations", "tolerance", "pseudo_counts", "acceleration")


def check_options(run: Run) -> Tables:
    """Raise before the work begins if the options do not fit the study."""
    check_common(run)
    if not run.study.is_crowd:
        training_choice(run)
    return {}


def check_common(run: Run) -> None:
    """Raise if what every command may be asked for does not fit the study."""
    study, options, cohorts = run.study, run.options, cohorts_of(run)
    chosen_conditions(options, study.conditions)
    parse_preferences(options.prefer, study)
    if options.resample == "slide" and not study.is_crowd:
        group_codes(study.fovs["fov"], study.fovs, "slide")
    check_reference(run)
    grouping = grouping_of(run)
    check_plan(
        targets_of(options),
        prices_of(options),
        cohorts=cohorts,
        classes=grouping.classes if grouping else None,
        has_detection=not study.is_crowd,
    )
    warn_of_idle_options(run)


def warn_of_idle_options(run: Run) -> None:
    """Say which options that differ from their defaults change nothing here."""
    options, defaults = run.options, RunOptions()
    idle = {
        "the objects are located already": (*LOCATING, "thresholds") if run.study.is_located else (),
        "a crowd table has nothing to detect": ("min_detections",) if run.study.is_crowd else (),
        "a crowd table has tasks, not FOVs on slides": ("resample",) if run.study.is_crowd else (),
        "a majority vote has no parameters": _OF_EM if options.model == "majority" else (),
        "one-coin is not accelerated": ("acceleration",) if options.model == "one-coin" else (),
    }
    for reason, names in idle.items():
        changed = [name for name in names if getattr(options, name) != getattr(defaults, name)]
        if changed:
            warnings.warn(f"{reason}: {', '.join(changed)} change nothing", stacklevel=2)
