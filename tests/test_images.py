"""Pictures of FOVs: what is read as RGB."""

import numpy as np
import pytest
from PIL import Image

from crowdtruth.images import read_image


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_read_image__shows_white_through_what_is_transparent(tmp_path, mode):
    image = Image.new("RGBA", (2, 1), (30, 30, 30, 255))
    image.putpixel((1, 0), (30, 30, 30, 0))
    if mode == "P":
        indexed = Image.new("P", (2, 1))
        indexed.putpalette([30, 30, 30, 99, 99, 99])
        indexed.putpixel((1, 0), 1)
        indexed.save(tmp_path / "a.png", transparency=1)
    else:
        image.convert(mode).save(tmp_path / "a.png")
    assert np.asarray(read_image(tmp_path, "a.png")).tolist() == [[[30] * 3, [255] * 3]]


def test_read_image__half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (1, 1), (0, 0, 0, 51)).save(tmp_path / "a.png")
    assert read_image(tmp_path, "a.png").getpixel((0, 0)) == (204, 204, 204)
