"""Haematoxylin and eosin told apart: Macenko's stain matrix, normalisation to a target, augmentation.

The same maths twice: `arrays` for images (height, width, 3) of bytes in NumPy, `tensors` for images (3, height, width)
of fractions in torch, on any device.
"""

from nucls_model.stain import arrays, tensors
from nucls_model.stain.target import TARGET, StainTarget

__all__ = ["TARGET", "StainTarget", "arrays", "tensors"]
