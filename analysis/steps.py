"""The slow steps in their order: what each computes, and from what."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from analysis.compute.accuracy import count_raters, draw_curves, judge
from analysis.compute.agreement import agree_by_threshold, agree_in_pairs, agree_with_oneself
from analysis.compute.fields import cluster_both_ways
from analysis.compute.objects import infer, locate
from analysis.compute.outlines import look_at_outlines
from analysis.compute.redundancy import simulate_fewer_raters
from analysis.compute.tests import compare, compare_areas
from analysis.setting import Setting
from analysis.work import Compute, Work


@dataclass(frozen=True)
class Step:
    """One slow step."""

    name: str
    after: tuple[str, ...]
    compute: Compute
    applies: Callable[[Setting], bool] = lambda _: True  # whether the study has what it computes from


STEPS = {
    step.name: step
    for step in (
        Step("locate", (), locate),
        Step("infer", ("locate",), infer),
        Step("threshold", ("infer",), agree_by_threshold),
        Step("pairs", ("infer",), agree_in_pairs),
        Step("oneself", ("infer",), agree_with_oneself, lambda setting: setting.control is not None),
        Step("judge", ("infer",), judge),
        Step("curves", ("infer",), draw_curves),
        Step("raters", ("infer",), count_raters),
        Step("outlines", ("infer",), look_at_outlines, lambda setting: setting.has_clicks),
        Step("fields", (), cluster_both_ways),
        Step("redundancy", ("infer",), simulate_fewer_raters),
        Step("tests", ("pairs", "oneself", "outlines"), compare),
        Step(
            "differences",
            ("infer",),
            compare_areas,
            lambda setting: bool(setting.judged) and len(setting.conditions) > 1,
        ),
    )
}


def steps_for(names: Iterable[str]) -> list[Step]:
    """The steps asked for and those they build on, in order.

    Examples
    --------
    >>> [step.name for step in steps_for(["pairs"])]
    ['locate', 'infer', 'pairs']
    """
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += STEPS[name].after
    return [step for step in STEPS.values() if step.name in needed]


def compute(work: Work, names: Iterable[str]) -> None:
    """Compute what is asked for and what it builds on, as far as the study allows, unless it is there."""
    able = [step for step in steps_for(names) if step.applies(work.setting)]
    done = {step.name for step in able}
    for step in able:
        work.step(step.name, tuple(name for name in step.after if name in done), step.compute)
