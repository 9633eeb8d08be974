"""Section 7, how it was computed: enough to do it again, and what the words mean."""

import json
from collections.abc import Mapping
from typing import Any

from crowdtruth.report.figures import figures_of
from crowdtruth.report.inputs import Inputs, Section
from crowdtruth.report.words import counted

_NAME, _TITLE = "method", "How it was computed"

DEFINITIONS: Mapping[str, str] = {
    "FOV": "Field of view: the piece of an image that raters were shown.",
    "Anchor": "A place that at least one rater marked: overlapping marks of different raters, joined.",
    "Undetected": "What a rater says of an anchor who looked at its FOV and marked nothing there; who was not asked "
    "says nothing.",
    "Inferred label": "The most probable class of an anchor, given what all raters of a cohort said and how reliable "
    "each of them is.",
    "Entropy": "How undecided an inferred label is, in nats: 0 where one class is certain, 0.69 where two are equally "
    "probable.",
    "Disagreement": "The same for the labels that the raters gave.",
    "Interval": "The 95 % interval of a value: FOVs (or slides) are drawn again at random with replacement, and the "
    "value computed from each draw. Objects of one FOV are not independent, so whole FOVs are drawn.",
    "Recall (finds)": "Of the objects that are there, the share that a rater marked.",
    "Precision (marks rightly)": "Of the marks of a rater, the share that lies on an object.",
    "F1": "The harmonic mean of precision and recall: high only where both are.",
    "Class accuracy (names rightly)": "Of the objects that a rater found, the share that got the right class.",
    "MCC": "Matthews' correlation of true and given classes: 1 for all right, 0 for what chance would give.",
    "Alpha, kappa": "Agreement of raters beyond chance: 1 for full agreement, 0 for what chance would give.",
    "AC1": "An agreement coefficient that stays stable where nearly all objects are of one class.",
    "Poor … near perfect": "Words for agreement after Fleiss, Landis and Koch: poor below 0, slight to 0.2, fair to "
    "0.4, moderate to 0.6, substantial to 0.8, near perfect above.",
    "AUROC": "The probability that an object of a class gets a higher probability for it than one of another class.",
    "Holm": "P-values made larger for the number of tests, so that few are small by chance.",
}  # fmt: skip


def method(inputs: Inputs) -> Section:
    """Options, versions, checksums, warnings and definitions."""
    record = inputs.results.record
    steps: Mapping[str, Any] = record.get("steps", {})
    warnings = [(name, text) for name, step in sorted(steps.items()) for text in step.get("warnings", ())]
    body = {
        "options": [(name, _shown(value)) for name, value in sorted(inputs.options.items())],
        "program": sorted((str(name), str(value)) for name, value in record.get("program", {}).items()),
        "checksums": sorted((str(name), str(value)) for name, value in record.get("inputs", {}).items()),
        "notes": [str(note) for note in record.get("notes", ())],
        "warnings": warnings, "definitions": DEFINITIONS, "command": str(record.get("command", "")),
    }  # fmt: skip
    if not record:
        absent = "There is no run.json beside these tables, so it is not known how they were made."
        return Section(_NAME, _TITLE, body=body, figures=figures_of(_NAME, inputs.figures), absent=absent)
    return Section(_NAME, _TITLE, _words(body, inputs), body, figures_of(_NAME, inputs.figures))


def _shown(value: Any) -> str:
    """An option as text."""
    if value is None or value in ([], (), {}):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _words(body: Mapping[str, Any], inputs: Inputs) -> list[str]:
    """What is enough to compute it again, and what went less than well."""
    words = [
        "The same study, options, seed and versions give the same numbers. The times that each step took are in "
        "run.json, beside this page: they differ from run to run, this page does not."
    ]
    if body["warnings"]:
        words.append(f"The run gave {counted(len(body['warnings']), 'warning')}, listed below.")
    return words
