"""What are inferred labels worth? Detectors trained on each kind of labels, all else equal, against the known truth."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.compute.label_study import KINDS, LEVEL, labels_of, make_labels, study_parameters, unseen_labels
from analysis.paths import COMPUTED
from crowdtruth.parallel import say
from crowdtruth.results import ResultFolder, is_result_folder, open_results, prepare_folder, run_step
from nucls_model.cli.judging import evaluate_detector
from nucls_model.config import NuclsConfig
from nucls_model.evaluate import Trial
from nucls_model.train.folders import RECORD
from nucls_model.train.running import Means, train_detector
from nucls_model.weights import read_model_record

_DETECTOR = NuclsConfig(
    class_level=LEVEL,
    scale_factor=1.0,
    scale_jitter=0.05,
    crop_size=128,
    stages=2,
    prior_sizes=(26.0, 38.0, 52.0),
    prior_aspects=(1.0,),
    rpn_pre_nms=300,
    rpn_post_nms=100,
    head_samples=64,
    box_pool=7,
    box_features=128,
    mask_pool=7,
    mask_convs=1,
    mask_channels=32,
    class_convs=0,
    learning_rate=0.02,
    detector_updates=600,
    classifier_updates=0,
)
"""A detector that learns in two or three minutes: images as they are, two stages of four, small heads."""


@dataclass(frozen=True)
class Question:
    """What is tried; all of it stands in ``run.json``."""

    n_seeds: int = 3  # each with tissue, raters and weights of its own
    n_fovs: int = 96  # to learn from
    n_unseen: int = 64  # to be judged on
    replicates: int = 200  # of the intervals in the scores of a single detector; the table has none of them
    config: NuclsConfig = _DETECTOR


FULL = Question()
QUICK = Question(
    n_seeds=2,
    n_fovs=6,
    n_unseen=2,
    replicates=20,
    config=replace(
        _DETECTOR, crop_size=64, rpn_pre_nms=50, rpn_post_nms=20, head_samples=16, batch_size=1, detector_updates=4
    ),
)


def compute_label_kinds(
    out: Path, question: Question, *, seed: int = 0, jobs: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paint, infer, train and judge, from where an interrupted run of the same question stopped.

    Parameters
    ----------
    out : folder of all that is made; a changed question begins anew
    question : what is tried
    seed : the first of ``question.n_seeds``
    jobs : workers of `crowdtruth run`; changes no result

    Returns
    -------
    labels : kind, seed, metric, value
        How far the labels are from the truth, in the FOVs to learn from.
    scores : kind, seed, metric, level, value
        How far the detectors are, in the unseen FOVs.

    Raises
    ------
    ValueError
        If the folder holds something else.
    """
    asked: dict[str, Any] = {**asdict(question), "study": asdict(study_parameters(question.n_fovs))}
    results = _open(out, asked)
    labels, scores = [], []
    for one in range(seed, seed + question.n_seeds):
        folder, first = out / f"seed-{one}", f"labels_{one}"
        _step(results, first, (), asked, partial(_make_labels, folder, question, one, jobs))
        labels.append(results.table(first).assign(seed=one))
        for kind in KINDS:
            name = f"{kind}_{one}"
            _step(results, name, (first,), asked, partial(_train_and_judge, folder, kind, question, one))
            scores.append(results.table(name).assign(kind=kind, seed=one))
    return (
        pd.concat(labels, ignore_index=True)[["kind", "seed", "metric", "value"]],
        pd.concat(scores, ignore_index=True)[["kind", "seed", "metric", "level", "value"]],
    )


def _open(out: Path, asked: Mapping[str, Any]) -> ResultFolder:
    """The record and the tables of earlier calls; its folder is there before anything lies beside it."""
    if out.exists() and any(out.iterdir()) and not is_result_folder(out / COMPUTED):
        raise ValueError(f"{out} holds files that no run of this page wrote; give another --out")
    place = Path("synthetic-label-kinds")
    results = open_results(out / COMPUTED, command="analysis", study=place, inputs={}, options=asked)
    prepare_folder(results)
    return results


def _step(results: ResultFolder, name: str, after: tuple[str, ...], asked: Mapping[str, Any], compute: Any) -> None:
    """A step with one table, of its own name."""
    run_step(results, name, options=asked, after=after, compute=lambda: {name: compute()})


def _make_labels(folder: Path, question: Question, seed: int, jobs: int) -> pd.DataFrame:
    """The labels of a seed; what stands there is half done, or of another question."""
    if folder.exists():
        shutil.rmtree(folder)
    return make_labels(folder, question.n_fovs, question.n_unseen, seed=seed, jobs=jobs)


def _train_and_judge(folder: Path, kind: str, question: Question, seed: int) -> pd.DataFrame:
    """Scores of one detector: metric, level, value; of classes together, not of each."""
    model = folder / "models" / kind
    say(f"training on {kind} labels, seed {seed}")
    detector = train_detector(
        labels_of(folder, kind),
        model,
        question.config,
        seed=seed,
        means=Means(device="cpu", checkpoint_every=50),  # a GPU rounds otherwise, and the table could not be made again
        is_resumed=(model / RECORD).is_file(),
        origin={"targets": kind},
    )
    unseen = unseen_labels(folder)
    metrics = evaluate_detector(
        detector,
        read_model_record(model),
        unseen,
        range(len(unseen.fovs)),
        model / "scores",
        trial=Trial(trained_on=kind, tested_on="truth", updates=question.config.detector_updates),
        n_replicates=question.replicates,
        seed=seed,
    )
    return metrics.loc[metrics["class"] == "", ["metric", "level", "value"]].reset_index(drop=True)
