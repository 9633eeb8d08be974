"""Synthetic FOVs that look like H&E: painted with stain vectors, with every nucleus known."""

from nucls_model.painted.fovs import FovParameters, PaintedFov, paint_fov, paint_fovs
from nucls_model.painted.staining import Staining, staining_of
from nucls_model.painted.studies import paint_study

__all__ = ["FovParameters", "PaintedFov", "Staining", "paint_fov", "paint_fovs", "paint_study", "staining_of"]
