"""Made-up detectors: nuclei of an FOV, and what a detector of known faults finds of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from crowdtruth.taxonomy import AMBIGUOUS, load_taxonomy
from nucls_model.evaluate import Trial, evaluate, write_evaluation

TAXONOMY = load_taxonomy("nucls")
CLASSES = tuple(name for name in TAXONOMY.grouping("main").classes if name != AMBIGUOUS)
CORNERS = ["xmin", "ymin", "xmax", "ymax"]

_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)


def rings(boxes: np.ndarray) -> dict[str, list[str]]:
    """Ellipses inside boxes (n, 4), as comma lists."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    x = centre[:, :1] + half[:, :1] * np.cos(_ANGLES)
    y = centre[:, 1:] + half[:, 1:] * np.sin(_ANGLES)
    return {
        name: [",".join(f"{v:.1f}" for v in row) for row in rows] for name, rows in (("coords_x", x), ("coords_y", y))
    }


def made_up(
    n_fovs: int = 8,
    n_nuclei: int = 20,
    *,
    seed: int = 0,
    skill: float = 2.5,
    prefix: str = "fov",
    outlined: float = 0.4,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Truth, predictions and FOVs: most nuclei found with shifted boxes, some missed, some found where nothing is."""
    rng = np.random.default_rng(seed)
    n = n_fovs * n_nuclei
    names = np.array([f"{prefix}{k:03d}" for k in range(n_fovs)], object)
    fov = np.repeat(names, n_nuclei)
    cells = np.concatenate([rng.choice(400, n_nuclei, replace=False) for _ in range(n_fovs)])
    corner = 60.0 * np.column_stack([cells % 20, cells // 20]) + rng.integers(0, 10, (n, 2))
    boxes = np.concatenate([corner, corner + rng.integers(25, 50, (n, 2))], axis=1)
    label = rng.choice(len(CLASSES) + 1, n, p=np.array([5, 1, 4, 1, 5, 2, 1, 2]) / 21)
    truth = pd.DataFrame(boxes, columns=CORNERS).assign(fov=fov, label=np.array([*CLASSES, AMBIGUOUS], object)[label])
    truth = truth.assign(**rings(boxes), has_outline=rng.random(n) < outlined)

    kept = np.flatnonzero(rng.random(n) < 0.9)
    strays = rng.integers(0, n, n // 5)
    source = np.concatenate([kept, strays])
    shift = rng.normal(0, 2.5, (len(source), 4))
    shift[len(kept) :] += 30
    found = boxes[source] + shift
    logit = rng.normal(0, 1.0, (len(source), len(CLASSES)))
    is_class = label[source] < len(CLASSES)
    logit[np.flatnonzero(is_class), label[source][is_class]] += skill
    chances = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    objectness = np.clip(rng.beta(6, 2, len(source)) - 0.3 * (np.arange(len(source)) >= len(kept)), 0.06, 1)
    predictions = pd.DataFrame(found, columns=CORNERS).assign(
        fov=fov[source], objectness=objectness, p_ambiguous=objectness * rng.uniform(0, 0.2, len(source)),
        label=np.array(CLASSES, object)[chances.argmax(axis=1)],
        **{f"prob_{name}": chances[:, k] for k, name in enumerate(CLASSES)}, **rings(found),
    )  # fmt: skip
    return truth, predictions, pd.DataFrame({"fov": names})


def write_trial(folder: Path, trial: Trial, *, seed: int = 0, level: str = "main", **options: float) -> Path:
    """The folder of an evaluation of a made-up detector."""
    truth, predictions, fovs = made_up(seed=seed, **options)
    evaluation = evaluate(truth, predictions, CLASSES, fovs=fovs, level=level, taxonomy=TAXONOMY, n_replicates=50)
    write_evaluation(folder, evaluation, trial)
    return folder
