"""What `nucls demo` does: painted FOVs, a small detector trained on some, judged on others."""

from pathlib import Path

import pandas as pd

from nucls_model.cli.folders import open_out
from nucls_model.cli.judging import draw_fovs, evaluate_detector
from nucls_model.config import NuclsConfig
from nucls_model.evaluate import Trial
from nucls_model.labelled import read_labelled
from nucls_model.painted import paint_fovs
from nucls_model.train.running import Means, train_detector
from nucls_model.weights import read_model_record

DEMO = NuclsConfig(
    scale_factor=2.0,
    scale_jitter=0.2,
    crop_size=128,
    stages=3,
    rpn_samples=128,
    rpn_pre_nms=400,
    rpn_post_nms=100,
    head_samples=64,
    box_pool=7,
    box_features=256,
    mask_convs=2,
    mask_channels=64,
    class_convs=1,
    learning_rate=0.02,
    detector_updates=420,
    classifier_updates=30,
)
"""A detector that learns on a laptop: smaller crops and heads, three stages of four, ten times the learning rate."""


def run_demo(
    out: str | Path,
    config: NuclsConfig = DEMO,
    *,
    n_fovs: int = 64,
    n_unseen: int = 16,
    seed: int = 0,
    device: str | None = None,
) -> pd.DataFrame:
    """Paint, train, judge and draw, in a new folder.

    Parameters
    ----------
    out : receives ``fovs``, ``unseen`` (both in the NuCLS format), ``model`` and ``scores``
    config : of the detector
    n_fovs, n_unseen : FOVs to learn from, and to be judged on
    seed : of everything random
    device : None: the GPU if there is one

    Returns
    -------
    pd.DataFrame
        The scores on the unseen FOVs, as in ``metrics.csv``.

    Raises
    ------
    ValueError
        If the folder holds something that is no demo.
    crowdtruth.files.WriteError
        If it holds a demo already, or cannot be written.
    """
    out = Path(out)
    open_out(out, "nucls demo")
    paint_fovs(out / "fovs", n_fovs=n_fovs, seed=2 * seed)
    paint_fovs(out / "unseen", n_fovs=n_unseen, seed=2 * seed + 1)
    labelled, unseen = (read_labelled(out / name, config.class_level) for name in ("fovs", "unseen"))
    means = Means(device=device, say_every=50)
    detector = train_detector(labelled, out / "model", config, seed=seed, means=means)
    places = range(len(unseen.fovs))
    metrics = evaluate_detector(
        detector,
        read_model_record(out / "model"),
        unseen,
        places,
        out / "scores",
        trial=Trial(trained_on="painted", tested_on="painted", updates=config.detector_updates),
        device=next(detector.parameters()).device,
        seed=seed,
    )
    draw_fovs(unseen, places, out / "scores", n_drawn=4)
    return metrics
