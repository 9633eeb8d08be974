"""Images of any size, read in parts, at the resolution asked for."""

import lzma
import sys
import tracemalloc
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image

from crowdtruth.images import read_image
from crowdtruth.parallel import Silent, reporting_to
from nucls_model.predict import images as images_file
from nucls_model.predict.images import Source, open_image
from nucls_model.predict.slides import downsample, open_slide, open_tiff
from nucls_model.predict.views import make_view

PER_CM = 50_000  # pixels: 0.2 µm each


class Told(Silent):
    """A reporter that remembers."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write_pyramid(path, pixels, *, tile=(64, 48), compression="zlib", per_cm=PER_CM):
    """A tiled TIFF with levels of a half and a quarter."""
    keywords = {"tile": tile, "photometric": "rgb", "compression": compression}
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, subifds=2, resolution=(per_cm, per_cm), resolutionunit=3, **keywords)
        for step in (2, 4):
            file.write(pixels[::step, ::step], subfiletype=1, **keywords)


def assert_reads_like(source, pixels, level=0):
    """Parts of a level are those of the pixels, whatever edges they have."""
    height, width, _ = pixels.shape
    assert source.sizes[level] == (width, height)
    for x0, y0, x1, y1 in [
        (0, 0, width, height),
        (1, 2, 3, 5),
        (60, 40, min(70, width), min(55, height)),
        (width - 1, height - 1, width, height),
    ]:
        np.testing.assert_array_equal(source.read(level, x0, y0, x1, y1), pixels[y0:y1, x0:x1])


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.bmp", "a.webp"])
def test_open_image__reads_plain_images(tmp_path, name):
    pixels = noise(90, 70)
    Image.fromarray(pixels).save(tmp_path / name, lossless=True)
    with open_image(tmp_path / name) as source:
        assert_reads_like(source, pixels)
        assert source.mpp is None


def test_open_image__shows_white_through_what_is_transparent(tmp_path):
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as source:
        found = source.read(0, 0, 0, 3, 2)
    np.testing.assert_array_equal(found, [[[10, 20, 30]] * 3, [[255] * 3] * 3])


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_open_tiff__shows_white_through_what_is_transparent(tmp_path, kind):
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[..., :3], pixels[:16, :, 3] = (10, 20, 30), 255
    pixels[20:, :, 3] = 51
    if kind == "assocalpha":
        pixels[..., :3] = pixels[..., :3] * (pixels[..., 3:] / 255).round(2)
    tifffile.imwrite(tmp_path / "a.tif", pixels, rowsperstrip=16, photometric="rgb", extrasamples=[kind])
    with open_image(tmp_path / "a.tif") as source:
        found = source.read(0, 0, 0, 32, 32)
    assert (found[:16] == (10, 20, 30)).all()
    if kind == "unspecified":  # a fourth channel of who knows what
        assert (found[16:] == (10, 20, 30)).all()
    else:
        assert (found[16:20] == 255).all()
        np.testing.assert_allclose(found[20:], np.broadcast_to([206, 208, 210], (12, 32, 3)), atol=1)


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_open_image__other_colours_of_tiff_are_those_that_training_sees(tmp_path, mode):
    image = Image.fromarray(noise(40, 30)).convert(mode)
    image.save(tmp_path / "a.tif")
    with open_image(tmp_path / "a.tif") as source:
        np.testing.assert_array_equal(source.read(0, 0, 0, 40, 30), np.asarray(read_image(tmp_path, "a.tif")))


@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
@pytest.mark.parametrize("tile", [(64, 48), None])
def test_open_tiff__reads_tiles_and_strips(tmp_path, compression, tile):
    pixels = noise(150, 110)
    strips = {} if tile else {"rowsperstrip": 16}
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, tile=tile, compression=compression, photometric="rgb",
        resolution=(PER_CM, PER_CM), resolutionunit=3, **strips,
    )  # fmt: skip
    with open_tiff(tmp_path / "a.tif") as source:
        assert_reads_like(source, pixels)
        assert source.mpp == pytest.approx(0.2)


def test_open_tiff__reads_grey_either_way_up_and_tiles_that_are_absent(tmp_path):
    grey = noise(100, 80)[..., 0]
    for name, photometric in (("dark.tif", "minisblack"), ("light.tif", "miniswhite")):
        tifffile.imwrite(tmp_path / name, grey, tile=(32, 32), photometric=photometric)
    with open_tiff(tmp_path / "dark.tif") as dark, open_tiff(tmp_path / "light.tif") as light:
        expected = np.repeat(grey[..., None], 3, axis=2)
        assert_reads_like(dark, expected)
        assert_reads_like(light, 255 - expected)
    with tifffile.TiffWriter(tmp_path / "sparse.tif") as file:
        full = noise(32, 32)
        file.write(iter([full, None, None, full]), shape=(64, 64, 3), dtype="u1", tile=(32, 32), photometric="rgb")
    with open_tiff(tmp_path / "sparse.tif") as sparse:
        np.testing.assert_array_equal(sparse.read(0, 32, 32, 64, 64), full)


def test_open_tiff__reads_levels(tmp_path):
    pixels = noise(256, 192)
    write_pyramid(tmp_path / "a.tif", pixels)
    with open_tiff(tmp_path / "a.tif") as source:
        for level, step in enumerate((1, 2, 4)):
            assert_reads_like(source, pixels[::step, ::step], level)


def test_open_slide__reads_what_tifffile_reads(tmp_path):
    pytest.importorskip("openslide")
    pixels = noise(512, 384)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:  # levels as pages: what openslide calls generic TIFF
        for step in (1, 4):
            file.write(
                pixels[::step, ::step], tile=(64, 64), photometric="rgb", compression="zlib",
                subfiletype=int(step > 1), resolution=(PER_CM / step, PER_CM / step), resolutionunit=3,
            )  # fmt: skip
    with open_image(tmp_path / "a.tif") as chosen, open_slide(tmp_path / "a.tif") as slide:
        assert chosen.sizes == slide.sizes == ((512, 384), (128, 96))
        assert slide.mpp == pytest.approx(0.2)
        for level, step in enumerate((1, 4)):
            assert_reads_like(slide, pixels[::step, ::step], level)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate"])
def test_open_image__decodes_as_a_whole_a_tiff_whose_parts_cannot_be_read(tmp_path, compression):
    pixels = noise(90, 70)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    with open_image(tmp_path / "a.tif") as source:
        assert_reads_like(source, pixels)


def test_open_tiff__says_what_reads_a_compression_it_cannot(tmp_path):
    if find_spec("imagecodecs"):
        pytest.skip("imagecodecs reads everything")
    Image.fromarray(noise(90, 70)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with (
        open_tiff(tmp_path / "a.tif") as source,
        pytest.raises(ValueError, match=r'LZW compression.* needs openslide \(pip install "nucls\[slides\]"\) or'),
    ):
        source.read(0, 0, 0, 5, 5)


@pytest.mark.parametrize(
    ("header", "mpp"),
    [
        ('<Pixels PhysicalSizeX="0.25"/>', 0.25),
        ('<Pixels PhysicalSizeX="250" PhysicalSizeXUnit="nm"/>', 0.25),
        ('<Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="parsec"/>', None),
        ('<!DOCTYPE a [<!ENTITY b "0.25">]><Pixels PhysicalSizeX="&b;"/>', 0.2),
    ],
)
def test_open_tiff__searches_the_ome_header_without_parsing_it(tmp_path, header, mpp):
    text = f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{header}</OME>'
    tifffile.imwrite(
        tmp_path / "a.tif", noise(64, 64), tile=(32, 32), photometric="rgb", description=text, metadata=None,
        resolution=(PER_CM, PER_CM), resolutionunit=3,
    )  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        from nucls_model.predict.slides import _tiff_mpp

        found = _tiff_mpp(file, file.pages[0])
    assert found == (pytest.approx(mpp) if mpp else None)


def test_open_tiff__takes_no_printers_resolution_for_a_microscopes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 64), photometric="rgb", resolution=(72, 72), resolutionunit=2)
    with open_tiff(tmp_path / "a.tif") as source:
        assert source.mpp is None


def test_open_tiff__holds_tiles_in_memory_and_never_the_image(tmp_path):
    side, tile = 16_384, 256
    blank = np.full((tile, tile, 3), 240, np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        tiles = (blank for _ in range((side // tile) ** 2))
        file.write(tiles, shape=(side, side, 3), dtype="u1", tile=(tile, tile), photometric="rgb", compression="zlib")
    with open_tiff(tmp_path / "a.tif") as source:
        tracemalloc.start()
        for corner in range(0, side, 2048):
            assert source.read(0, corner, corner, corner + 512, corner + 512).shape == (512, 512, 3)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 80e6  # the image has 805 MB; decoded tiles are kept up to 67 MB


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.png", "expected an image, there is no such file"),
        ("a.txt", r"expected an image ending in one of \.png .*; got \.txt"),
        ("a", "expected an image ending in .*; got no suffix"),
        ("text.png", "not a whole image"),
        ("cut.png", "not a whole image"),
        ("cut.jpg", "not a whole image"),
        ("deep.png", "expected 8 bits per channel, this image has Pillow's mode I;16"),
        ("gif.png", "not a whole image"),
        ("text.tif", "not a whole TIFF file"),
        ("deep.tif", "expected one picture, grey or RGB, 8 bits per channel.*uint16"),
        ("stack.tif", "expected one picture.* got 5 of shape"),
        ("text.svs", "not a slide that openslide can read"),
    ],
)
def test_open_image__says_what_is_wrong_with_a_file(tmp_path, name, words):
    pixels = noise(300, 200)
    for suffix in ("png", "jpg"):
        Image.fromarray(pixels).save(tmp_path / f"whole.{suffix}")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(pixels).save(tmp_path / "gif.png", "GIF")
    Image.fromarray(pixels[..., 0].astype(np.uint16)).save(tmp_path / "deep.png")
    tifffile.imwrite(tmp_path / "deep.tif", pixels.astype(np.uint16), photometric="rgb")
    tifffile.imwrite(tmp_path / "stack.tif", pixels[None, ..., 0].repeat(5, axis=0), photometric="minisblack")
    for other in ("a.txt", "a", "text.png", "text.tif", "text.svs"):
        (tmp_path / other).write_text("no picture, only words " * 40)
    with pytest.raises(ValueError, match=rf"{name}: {words}"), open_image(tmp_path / name):
        pass


def test_open_tiff__says_which_part_is_damaged(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(128, 64), tile=(64, 64), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[0].dataoffsets[1]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + 200] = b"\xff" * 200
    (tmp_path / "a.tif").write_bytes(bytes(content))
    with open_tiff(tmp_path / "a.tif") as source:
        assert source.read(0, 0, 0, 64, 64).shape == (64, 64, 3)
        with pytest.raises(ValueError, match=r"a\.tif: part 1 \(ADOBE_DEFLATE compression\) cannot be decoded"):
            source.read(0, 0, 0, 128, 64)


@pytest.mark.parametrize(("compression", "pack"), [("zlib", zlib.compress), ("lzma", lzma.compress)])
def test_open_tiff__does_not_unpack_more_than_a_part_holds(tmp_path, compression, pack):
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 64), tile=(64, 64), photometric="rgb", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    bomb = pack(bytes(3 * 64 * 64 * 200))  # 200 times the pixels of the tile
    assert len(bomb) <= length
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + length] = bomb.ljust(length, b"\0")
    (tmp_path / "a.tif").write_bytes(bytes(content))
    words = r"a\.tif: part 0 .*it unpacks to more than its 12,288 bytes of pixels"
    with open_tiff(tmp_path / "a.tif") as source, pytest.raises(ValueError, match=words):
        source.read(0, 0, 0, 64, 64)


def test_open_tiff__refuses_colours_that_tiff_does_not_know(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 48), photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages.first.tags["PhotometricInterpretation"].overwrite(60_000)
    with (
        pytest.raises(ValueError, match=r"expected a grey or RGB picture, got photometric 60000"),
        open_tiff(tmp_path / "a.tif"),
    ):
        pass


def test_open_tiff__refuses_parts_of_no_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(64, 64), photometric="rgb", rowsperstrip=16)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["RowsPerStrip"].overwrite(0)
    with pytest.raises(ValueError, match=r"a\.tif: not a whole TIFF file"), open_tiff(tmp_path / "a.tif"):
        pass


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_open_image__refuses_to_decode_more_than_the_limit_at_once(tmp_path, monkeypatch, name):
    from nucls_model.predict import slides

    monkeypatch.setattr(images_file, "PIXEL_LIMIT", 5_000)
    assert slides.check_size is images_file.check_size
    if name.endswith("png"):
        Image.fromarray(noise(100, 51)).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, noise(100, 51), photometric="rgb", rowsperstrip=51)
    words = r"100 × 51 pixels that have to be decoded as a whole; at most 5,000 are\. Save .* as tiled TIFF"
    with pytest.raises(ValueError, match=words), open_image(tmp_path / name):
        pass


def test_check_image__says_how_to_install_openslide(tmp_path, monkeypatch):
    (tmp_path / "a.svs").write_text("a slide")
    monkeypatch.setattr(images_file, "find_spec", lambda name: None)
    words = r'slides are read by openslide, which is not installed; pip install "nucls\[slides\]"'
    with pytest.raises(ValueError, match=words):
        open_image(tmp_path / "a.svs")
    assert "tifffile" in sys.modules


@pytest.mark.parametrize(
    ("finest", "level", "factor"), [((1001, 803), (500, 401), 2.0), ((1000, 500), (300, 150), 10 / 3)]
)
def test_downsample__is_whole_where_it_nearly_is(finest, level, factor):
    assert downsample(finest, level) == pytest.approx(factor)


def source_of(pixels, mpp, steps=(1,)):
    levels = [pixels[::step, ::step] for step in steps]
    sizes = tuple(level.shape[1::-1] for level in levels)
    return Source("a", sizes, mpp, lambda level, x0, y0, x1, y1: levels[level][y0:y1, x0:x1])


@pytest.mark.parametrize("mpp", [0.05, 0.11, 0.37, 0.5])
def test_make_view__gives_the_same_pixels_in_any_part(mpp):
    view = make_view(source_of(noise(150, 120), mpp), mpp=0.2)
    whole = view.read(0, 0, view.width, view.height)
    rng = np.random.default_rng(0)
    for _ in range(30):
        x0, x1 = np.sort(rng.choice(view.width + 1, 2, replace=False))
        y0, y1 = np.sort(rng.choice(view.height + 1, 2, replace=False))
        np.testing.assert_array_equal(view.read(x0, y0, x1, y1), whole[y0:y1, x0:x1])


@pytest.mark.parametrize("mpp", [0.05, 0.1, 0.4, 0.25])
def test_make_view__resamples_as_pillow_does(mpp):
    pixels = noise(160, 120)
    view = make_view(source_of(pixels, mpp), mpp=0.2)
    assert (view.width, view.height) == (round(160 * mpp / 0.2), round(120 * mpp / 0.2))
    expected = Image.fromarray(pixels).resize((view.width, view.height), Image.Resampling.BILINEAR)
    found = view.read(0, 0, view.width, view.height)
    assert np.abs(found.astype(int) - np.asarray(expected).astype(int)).max() <= 1  # Pillow rounds twice


@pytest.mark.parametrize(
    ("mpp", "target", "level", "scale", "is_resampled"),
    [
        (0.25, 0.25, 0, 1.0, False),
        (0.2525, 0.25, 0, 1.0, False),  # within 2 %
        (0.1, 0.2, 1, 2.0, False),
        (0.1, 0.3, 1, 3.0, True),
        (0.1, 0.8, 2, 8.0, True),
        (0.5, 0.2, 0, 0.4, True),
    ],
)
def test_make_view__reads_the_coarsest_level_that_is_fine_enough(mpp, target, level, scale, is_resampled):
    read = []
    source = source_of(noise(320, 240), mpp, (1, 2, 4))
    spied = Source("a", source.sizes, mpp, lambda n, *box: read.append(n) or source.read(n, *box))
    view = make_view(spied, mpp=target)
    view.read(0, 0, view.width, view.height)
    assert read == [level]
    assert view.scale == pytest.approx(scale)
    assert view.size == (320, 240)
    width, height = source.sizes[level]
    assert ((view.width, view.height) != (width, height)) == is_resampled
    assert view.width * view.scale == pytest.approx(320, abs=view.scale)


def test_make_view__says_what_it_takes_an_unknown_resolution_for():
    told = Told()
    with reporting_to(told):
        view = make_view(source_of(noise(40, 30), None), mpp=0.2)
        make_view(source_of(noise(40, 30), None), mpp=0.2, source_mpp=0.4)
    assert (view.width, view.height, view.scale) == (40, 30, 1.0)
    assert told.lines == ["a: the file does not say its µm per pixel; taken as 0.2"]


@pytest.mark.parametrize("mpp", [1e-9, 1e9])
def test_make_view__resamples_no_image_that_is_far_off(mpp):
    source = source_of(noise(8, 8), mpp)
    with pytest.raises(ValueError, match=r"the detector wants 0\.2; more than 16 times finer or coarser"):
        make_view(source, mpp=0.2)


def test_make_view__reads_the_level_asked_for():
    source = source_of(noise(320, 240), 0.1, (1, 2, 4))
    assert make_view(source, mpp=0.2, level=2).scale == 2.0
    with pytest.raises(ValueError, match="a has levels 0 to 2, not 3"):
        make_view(source, level=3)
    with pytest.raises(ValueError, match="source_mpp must be above 0 µm per pixel, got 0"):
        make_view(source, source_mpp=0)
