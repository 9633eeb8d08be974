"""Reading, locating and rating: the study's FOVs, the anchors, and what each asked rater said of them."""

from crowdtruth.clustering import cluster_annotations
from crowdtruth.formats.taxonomy_file import TAXONOMY_FILE, write_taxonomy_file
from crowdtruth.options import parse_preferences
from crowdtruth.ratings import rate_anchors
from crowdtruth.steps.run import Run, Tables

READING = ("format", "taxonomy", "normalise_labels")
LOCATING = ("iou", "inclusive", "method", "anchor_box", "prefer")


def read(run: Run) -> Tables:
    """The FOVs; the study's taxonomy is kept beside the results, where `infer` finds it."""
    run.results.path.joinpath(TAXONOMY_FILE).unlink(missing_ok=True)
    if run.study.taxonomy is not None:
        write_taxonomy_file(run.study.taxonomy, run.results.path)
    return {"fovs": run.study.fovs}


def locate(run: Run) -> Tables:
    """Anchors and members: clustered, or as a located study brings them."""
    study, options = run.study, run.options
    if study.anchors is not None:
        return {"anchors": study.anchors}
    located = cluster_annotations(
        study.annotations,
        iou_threshold=options.iou,
        method=options.method,
        inclusive=options.inclusive,
        box=options.anchor_box,
        preference=parse_preferences(options.prefer, study),
        cohort_of=dict(zip(study.raters["rater"], study.raters["cohort"], strict=True)),
        jobs=run.jobs,
    )
    return {"anchors": located.anchors, "members": located.members}


def rate(run: Run) -> Tables:
    """What each asked rater said of each anchor."""
    study = run.study
    if study.ratings is not None:
        return {"ratings": study.ratings}
    tables = run.results.table
    return {"ratings": rate_anchors(tables("members"), study.assignments, study.raters, tables("anchors"))}
