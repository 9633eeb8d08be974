"""A detector that learns ten real FOVs by heart, with half of their outlines: the table of docs/methods/training.md.

``python -m tests.verification.test_real_fovs OUT`` trains on hospital A2 from random weights (resumable, 40 minutes on
two cores) and prints how well the FOVs it saw are found, and those of two hospitals it never saw. Masks exist for
A2 alone, so outlines are judged on training FOVs alone.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from crowdtruth.checks import CORNERS
from crowdtruth.files import read_table
from nucls_model.cli.judging import draw_fovs, evaluate_detector
from nucls_model.config import NuclsConfig
from nucls_model.evaluate import Trial
from nucls_model.labelled import LabelledFovs, read_nucls_folder
from nucls_model.train.running import Means, train_detector
from nucls_model.weights import read_model

CONFIG = NuclsConfig(
    scale_factor=2.0,
    scale_jitter=0.1,
    crop_size=192,
    stages=3,
    prior_sizes=(16.0, 28.0, 44.0, 70.0),
    rpn_pre_nms=1500,
    rpn_post_nms=500,
    head_samples=192,
    box_pool=7,
    box_features=256,
    mask_convs=2,
    mask_channels=64,
    class_convs=1,
    batch_size=4,
    learning_rate=0.02,
    detector_updates=3000,
    classifier_updates=100,
)
"""A smaller crop and scale, three stages of four, and smaller heads than the paper's."""


def withheld_rows(labelled: LabelledFovs) -> pd.Index:
    """The rows of every second outlined nucleus."""
    return labelled.objects.index[labelled.objects["has_outline"]][1::2]


def half_outlined(labelled: LabelledFovs) -> LabelledFovs:
    """Every second outline of the table is left out: those nuclei are boxes only."""
    objects, withheld = labelled.objects.copy(), withheld_rows(labelled)
    objects.loc[withheld, ["coords_x", "coords_y"]] = ""
    objects.loc[withheld, "has_outline"] = False
    return replace(labelled, objects=objects)


def train(data: Path, out: Path, config: NuclsConfig = CONFIG) -> None:
    """Train on hospital A2, or go on with that training."""
    labelled = half_outlined(read_nucls_folder(data / "nucls_fovs", config.class_level))
    places = (labelled.fovs["hospital"] == "A2").to_numpy().nonzero()[0].tolist()
    means = Means(checkpoint_every=100)
    train_detector(labelled, out, config, places=places, means=means, is_resumed=(out / "run.json").exists())


def judge(data: Path, model: Path, out: Path) -> pd.DataFrame:
    """Scores by hospital, with all outlines: trained, metric, value, low, high, n."""
    detector, record = read_model(model)
    labelled = read_nucls_folder(data / "nucls_fovs", record.config.class_level)
    rows = []
    for hospitals in (["A2"], ["AR", "BH"]):
        places = labelled.fovs["hospital"].isin(hospitals).to_numpy().nonzero()[0].tolist()
        folder = out / "_".join(hospitals)
        trial = Trial(tested_on="corrected", hospitals=",".join(hospitals))
        metrics = evaluate_detector(detector, record, labelled, places, folder, trial=trial)
        draw_fovs(labelled, places, folder, n_drawn=4)
        rows.append(metrics[metrics["class"] == ""].assign(hospitals=",".join(hospitals)))
    return pd.concat(rows, ignore_index=True)


def dice_by_half(data: Path, nuclei: pd.DataFrame) -> pd.DataFrame:
    """DICE of the outlines that training saw (withheld: False) and of those it did not: mean, median, count."""
    labelled = read_nucls_folder(data / "nucls_fovs", CONFIG.class_level)
    objects = labelled.objects.assign(withheld=labelled.objects.index.isin(withheld_rows(labelled)))
    both = nuclei.merge(objects[["fov", *CORNERS, "withheld"]], on=["fov", *CORNERS])
    return both.groupby("withheld")["outline_dice"].agg(["mean", "median", "count"])


@pytest.mark.data
def test_train_detector__learns_ten_real_fovs_by_heart(data_dir: Path, tmp_path: Path) -> None:
    train(data_dir, tmp_path / "model")
    scores = judge(data_dir, tmp_path / "model", tmp_path / "scores")
    trained = scores[(scores["hospitals"] == "A2")].drop_duplicates("metric").set_index("metric")["value"]
    assert trained["ap_50"] >= 0.9
    assert trained["mean_dice"] >= 0.85
    nuclei = read_table(tmp_path / "scores" / "A2" / "nuclei.csv", floats=(*CORNERS, "outline_dice"))
    assert dice_by_half(data_dir, nuclei).loc[True, "mean"] >= 0.8  # outlines it never saw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    data = Path(os.environ["CROWDTRUTH_DATA"])
    train(data, out / "model")
    columns = ["hospitals", "level", "metric", "value", "low", "high", "n"]
    print(judge(data, out / "model", out / "scores")[columns].to_string(index=False))
    nuclei = read_table(out / "scores" / "A2" / "nuclei.csv", floats=(*CORNERS, "outline_dice"))
    print(dice_by_half(data, nuclei))


if __name__ == "__main__":
    main()
