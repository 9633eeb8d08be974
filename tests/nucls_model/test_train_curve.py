"""The picture of a training's losses."""

import numpy as np
import pandas as pd

from nucls_model.train.curve import draw_losses, loss_curve


def losses_of(n: int, n_frozen: int) -> pd.DataFrame:
    update = np.arange(1, n + 1)
    falling = 1 / update
    is_frozen = update > n - n_frozen
    return pd.DataFrame(
        {
            "update": update,
            "phase": np.where(is_frozen, "classifier", "detector"),
            "class": falling,
            "box": np.where(is_frozen, np.nan, 2 * falling),
            "thumbnail": np.nan,
            "total": np.where(is_frozen, falling, 3 * falling),
        }
    )


def test_loss_curve__points_are_means_of_as_many_updates() -> None:
    losses = losses_of(500, 0)
    lines = {line.get_label(): line for line in loss_curve(losses).lines}
    assert list(lines) == ["total", "class", "box"]  # there is no loss of thumbnails
    np.testing.assert_allclose(lines["box"].get_ydata(), losses["box"].to_numpy().reshape(100, 5).mean(axis=1))
    np.testing.assert_allclose(lines["box"].get_xdata(), np.arange(3, 500, 5))


def test_loss_curve__marks_where_the_detector_is_frozen() -> None:
    lines = {line.get_label(): line for line in loss_curve(losses_of(40, 10)).lines}
    assert list(lines["detector frozen"].get_xdata()) == [31, 31]
    assert np.isfinite(lines["class"].get_ydata()).all()
    assert np.isnan(lines["box"].get_ydata()[30:]).all()


def test_draw_losses__gives_the_same_bytes_again(tmp_path) -> None:
    losses_of(3, 1).to_csv(tmp_path / "losses.csv", index=False)
    draw_losses(tmp_path)
    first = (tmp_path / "losses.png").read_bytes()
    draw_losses(tmp_path)
    assert first[1:4] == b"PNG"
    assert (tmp_path / "losses.png").read_bytes() == first
