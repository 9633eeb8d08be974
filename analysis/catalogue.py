"""Every figure and table of the paper that is made here, in the paper's order, and what else is asked."""

from collections.abc import Iterable

from analysis.figures import agreement, confusions, detection, detector, fields, redundancy, suggestions
from analysis.page import AnyPage, DetectorPage, ExperimentPage, Page
from analysis.tables import detector as detector_tables
from analysis.tables import label_kinds, tests

_PAGES: tuple[AnyPage, ...] = (
    Page(
        "fig3a", "Finding objects: raters and their inferred labels", ("judge", "curves"),
        ("curves", "areas", "areas_published", "raters", "rater_confusion"),
        detection.pick_detection, detection.draw_detection, detection.why_no_curves, detection.ours_detection,
    ),
    Page(
        "fig3b", "Naming objects: ROC curves of inferred labels", ("curves",), ("curves", "areas"),
        detection.pick_classes, detection.draw_classes, detection.why_no_curves, detection.ours_classes,
    ),
    Page(
        "fig3c", "What is taken for what, and by how many", ("judge", "raters"),
        ("rater_confusion", "anchor_confusion"), confusions.pick_judges, confusions.draw_judges,
    ),
    Page(
        "fig3d", "Raters on a map of agreement", ("pairs",), ("rater_map",), agreement.pick_map, agreement.draw_map,
    ),
    Page(
        "fig3e", "How good are the labels of fewer raters per FOV?", ("redundancy",), ("redundancy",),
        redundancy.pick_redundancy, redundancy.draw_redundancy,
    ),
    Page(
        "fig4b", "Accepted suggestions", ("oneself",), ("self_agreement",),
        agreement.pick_oneself, agreement.draw_clicks, agreement.why_no_clicks, agreement.ours_clicks,
    ),
    Page(
        "fig4c", "Outlines of accepted suggestions beside traced ones", ("outlines",), ("outlines",),
        suggestions.pick_outlines, suggestions.draw_outlines, suggestions.why_no_outlines, suggestions.ours_outlines,
    ),
    Page(
        "fig4d", "Agreement of raters with themselves", ("oneself",), ("self_agreement",),
        agreement.pick_oneself, agreement.draw_oneself, agreement.why_no_oneself, agreement.ours_oneself,
    ),
    Page(
        "fig4e", "Labels inferred with suggestions and without", ("curves",), ("curves", "areas"),
        detection.pick_conditions, detection.draw_conditions, detection.why_no_conditions, detection.ours_conditions,
    ),
    Page(
        "fig5a", "Objects and agreement by clustering threshold", ("threshold",), ("agreement",),
        agreement.pick_threshold, agreement.draw_threshold, ours=agreement.ours_threshold,
    ),
    Page(
        "fig5b", "Objects with and without the constraint of one mark per rater", ("fields",), ("fov_anchors",),
        fields.pick_fields, fields.draw_fields, fields.why_not_clustered,
    ),
    Page(
        "fig5c", "Agreement on classes by clustering threshold", ("threshold",), ("agreement",),
        agreement.pick_threshold, agreement.draw_threshold_classes,
    ),
    Page(
        "fig5d", "Agreement of every two raters", ("pairs",), ("pairwise",), agreement.pick_pairs, agreement.draw_pairs,
    ),
    Page(
        "figS3", "Naming objects: ROC curves of super-classes", ("curves",), ("curves", "areas"),
        detection.pick_super_classes, detection.draw_classes, detection.why_no_second_level,
    ),
    Page(
        "figS5a", "Right suggestions by FOV", ("outlines",), ("segmented",),
        suggestions.pick_segmented, suggestions.draw_segmented, suggestions.why_no_second_round,
    ),
    Page(
        "figS5b", "Outlines under two kinds of suggestions", ("outlines",), ("outlines",),
        suggestions.pick_outlines, suggestions.draw_joint, suggestions.why_no_joint,
    ),
    Page(
        "figS7", "What is taken for what, by every cohort", ("judge", "raters"),
        ("rater_confusion", "anchor_confusion"), confusions.pick_everybody, confusions.draw_everybody,
    ),
    Page(
        "figS8", "How easily objects are found", ("raters",), ("ease",),
        confusions.pick_ease, confusions.draw_ease, ours=confusions.ours_ease,
    ),
    DetectorPage(
        "figS9", "What detectors are tested on", detector.pick_objects, detector.draw_objects, detector.why_no_objects,
    ),
    DetectorPage(
        "figS10", "How a detector learned", detector.pick_progress, detector.draw_progress, detector.why_no_progress,
    ),
    DetectorPage(
        "figS11", "What a detector takes for what",
        detector.pick_confusion, detector.draw_confusion, detector.why_no_confusion,
    ),
    DetectorPage(
        "table1", "The final detector on hospitals it never saw", detector_tables.pick_final,
        why_not=detector_tables.why_no_final, pairs=detector_tables.pairs_final,
    ),
    DetectorPage(
        "tableS3", "Boxes found by scale factor and backbone", detector_tables.pick_scales,
        why_not=detector_tables.why_no_scales, pairs=detector_tables.pairs_scales,
    ),
    DetectorPage(
        "tableS4", "The final detector by super-class", detector_tables.pick_classes,
        why_not=detector_tables.why_no_classes, pairs=detector_tables.pairs_classes,
    ),
    DetectorPage(
        "tableS5", "Configurations of the detector", detector_tables.pick_configurations,
        why_not=detector_tables.why_no_configurations, pairs=detector_tables.pairs_configurations,
    ),
    DetectorPage(
        "tableS6", "The final detector, trained on uncorrected labels", detector_tables.pick_uncorrected,
        why_not=detector_tables.why_no_uncorrected, pairs=detector_tables.pairs_uncorrected,
    ),
    Page(
        "tests", "Statistical tests", ("tests",), ("comparisons",), tests.pick_tests, why_not=tests.why_no_tests,
    ),
    Page(
        "differences", "Labels under two conditions: differences of areas", ("differences",), ("area_differences",),
        tests.pick_differences, why_not=detection.why_no_conditions,
    ),
    ExperimentPage(
        "label_kinds", "What labels are worth: detectors by what they learned from",
        "trains 12 detectors, half an hour on two cores; not among all",
        label_kinds.make_label_kinds, label_kinds.write_label_kinds,
    ),
)  # fmt: skip

PAGES = {page.name: page for page in _PAGES}
_OF_ALL = [page.name for page in _PAGES if not isinstance(page, ExperimentPage)]


def chosen_pages(names: Iterable[str]) -> list[AnyPage]:
    """The pages asked for, in the paper's order: by name, by figure (``fig3`` is 3a to 3e), or ``all`` but experiments.

    Raises
    ------
    ValueError
        If a name is none of these, saying which there are.

    Examples
    --------
    >>> [page.name for page in chosen_pages(["figS5", "fig5d"])]
    ['fig5d', 'figS5a', 'figS5b']
    """
    chosen: set[str] = set()
    for name in names:
        found = set(_OF_ALL) if name == "all" else {page for page in PAGES if name == page or _is_panel(page, name)}
        if not found:
            raise ValueError(
                f"no figure or table {name!r}; there are {', '.join(PAGES)}, fig3, fig4, fig5, figS5 and all"
            )
        chosen |= found
    return [page for name, page in PAGES.items() if name in chosen]


def _is_panel(page: str, figure: str) -> bool:
    """Whether a page is one panel of a figure: fig3a of fig3."""
    return page[:-1] == figure and page[-1].isalpha() and figure[-1:].isdigit()
