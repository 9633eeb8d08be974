"""Many raters' marks on images in; located objects, inferred labels and rater quality out."""

__version__ = "0.1.0"
