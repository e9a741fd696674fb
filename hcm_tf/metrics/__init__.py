"""Measurements of explanations, samples and segmentations: arrays in, floats out."""
