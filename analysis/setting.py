"""What a study offers the figures: who judges whom, under which conditions, at which levels of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crowdtruth.options import cohort_members
from crowdtruth.study import Study, select
from crowdtruth.taxonomy import RAW, Grouping, Taxonomy

_PATHOLOGISTS, _OTHERS = "P", "NP"
_MAIN_CONDITION, _CONTROL = "E", "U-control"
_LEVELS = ("main", "super")
_ORDER = (_CONTROL, "B-control", _MAIN_CONDITION)  # the paper's conditions, in the order it shows them


@dataclass(frozen=True)
class Setting:
    """Cohorts, conditions and levels of the figures."""

    cohorts: tuple[str, ...]  # in the order they are shown
    judge: str | None  # the cohort whose inferred labels are the truth; None: an outside reference, or each its own
    outside: str | None  # name of the outside reference, if there is one
    conditions: tuple[str, ...]
    condition: str  # of figures that show one
    control: str | None  # the one without suggestions, if there is one beside `condition`
    levels: tuple[str, ...]  # of classes, the finest first
    taxonomy: Taxonomy | None
    has_clicks: bool
    has_outlines: bool  # traced by hand, to compare clicked ones with
    is_located: bool

    @property
    def judged(self) -> tuple[str, ...]:
        """Cohorts whose inferred labels can be compared with a truth that is not their own."""
        if self.outside is not None:
            return self.cohorts
        return tuple(name for name in self.cohorts if self.judge not in (None, name))

    @property
    def truth(self) -> str:
        """What the figures take for true, in words."""
        if self.outside is not None:
            return self.outside
        return f"labels inferred from {self.judge}" if self.judge else "each cohort's own inferred labels"

    @property
    def experts(self) -> str:
        """The cohort shown where there is room for one: that which judges, else the first."""
        return self.judge or self.cohorts[0]

    @property
    def crowd(self) -> str:
        """The cohort shown where labels of many are judged: the last of those judged, else the last there is."""
        return (self.judged or self.cohorts)[-1]

    @property
    def level(self) -> str:
        """The finest level of classes that figures show."""
        return self.levels[0]

    @property
    def is_paper(self) -> bool:
        """Whether cohorts, condition, truth and classes are the paper's, so that its printed values are comparable."""
        is_truth = self.judge == _PATHOLOGISTS and self.condition == _MAIN_CONDITION
        return is_truth and _OTHERS in self.cohorts and self.levels == _LEVELS

    def grouping(self, level: str) -> Grouping | None:
        """The classes of a level; None for labels as they come."""
        return None if self.taxonomy is None or level == RAW else self.taxonomy.grouping(level)


def setting_of(
    study: Study, *, condition: str | None = None, judge: str | None = None, outside: str | None = None
) -> Setting:
    """The setting of a study whose cohorts are those of `united`.

    Parameters
    ----------
    study : with the cohorts to be shown, see `united`
    condition : of figures that show one; default: E, else the last that is not the control
    judge : cohort whose inferred labels are the truth
    outside : name of a reference from outside, which is the truth; default without either: the cohort P, else the
        study's own reference, else each cohort its own

    Raises
    ------
    ValueError
        If there is no such condition or cohort, the study is a crowd table, or there is only one rater.
    """
    if study.is_crowd:
        raise ValueError("a crowd table has no images and no marks; the paper's figures need a study of marks")
    if len(study.raters) < 2:
        raise ValueError(f"all marks are by one rater, {study.raters['rater'].iloc[0]!r}; the figures compare raters")
    conditions, cohorts = _first(_ORDER, study.conditions), _first((_PATHOLOGISTS, _OTHERS), study.cohorts)
    control = _control(study, conditions)
    with_suggestions = [name for name in conditions if name != control]
    shown = condition or (_MAIN_CONDITION if _MAIN_CONDITION in conditions else with_suggestions[-1])
    _must_be(shown, conditions, "condition")
    if judge is None and outside is None:
        judge = _PATHOLOGISTS if _PATHOLOGISTS in cohorts and len(cohorts) > 1 else None
        outside = "reference" if judge is None and study.reference is not None else None
    if judge is not None:
        _must_be(judge, cohorts, "cohort")
    kinds = set() if study.is_located else set(study.annotations["kind"])
    return Setting(
        cohorts=cohorts,
        judge=judge,
        outside=outside,
        conditions=conditions,
        condition=shown,
        control=control if shown != control else None,
        levels=tuple(study.taxonomy.levels) if study.taxonomy and study.taxonomy.levels else (RAW,),
        taxonomy=study.taxonomy,
        has_clicks="click" in kinds,
        has_outlines="polygon" in kinds,
        is_located=study.is_located,
    )


def _first(order: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The names, those of `order` first."""
    known = [name for name in order if name in names]
    return (*known, *(name for name in names if name not in known))


def _control(study: Study, conditions: Sequence[str]) -> str | None:
    """The condition without suggestions: U-control, else that with the smallest share of clicks, if there are two."""
    if _CONTROL in conditions or len(conditions) < 2:
        return _CONTROL if len(conditions) > 1 else None
    if study.is_located:
        return conditions[0]
    is_click = study.annotations["kind"].eq("click").groupby(study.annotations["condition"]).mean()
    return min(conditions, key=lambda name: float(is_click.get(name, 0.0)))


def united(study: Study, specs: Sequence[str] = ()) -> Study:
    """The study with the paper's cohort P = SP + JP where it has these two, or the unions asked for (``P=SP+JP``).

    Raises
    ------
    ValueError
        If a union names a cohort that is not there.
    """
    return select(study, cohorts=_unions(study, specs))


def _unions(study: Study, specs: Sequence[str]) -> Mapping[str, Sequence[str]]:
    if specs:
        return cohort_members(tuple(specs), study.cohorts)
    seniors = [name for name in ("SP", "JP") if name in study.cohorts]
    others = [name for name in study.cohorts if name not in seniors]
    return {_PATHOLOGISTS: seniors, **{name: [name] for name in others}} if seniors else {n: [n] for n in others}


def _must_be(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise ValueError(f"no {what} {name!r}; the study has {', '.join(known)}")
