"""Prediction on images of any size: overlapping tiles, objects merged at their seams, tables written as they come."""

from nucls_model.predict.images import PIXEL_LIMIT, Source, open_image
from nucls_model.predict.outlines import outline_of
from nucls_model.predict.outputs import FORMATS
from nucls_model.predict.running import predict_images
from nucls_model.predict.tiles import Tile, Tiling, make_tiles, tiling_for
from nucls_model.predict.views import View, make_view

__all__ = [
    "FORMATS",
    "PIXEL_LIMIT",
    "Source",
    "Tile",
    "Tiling",
    "View",
    "make_tiles",
    "make_view",
    "open_image",
    "outline_of",
    "predict_images",
    "tiling_for",
]
