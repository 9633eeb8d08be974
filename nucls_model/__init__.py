"""Nucleus detectors trained on inferred or corrected labels, boxes and outlines mixed."""
