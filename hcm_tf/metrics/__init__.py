"""Measurements of explanations: arrays in, floats out."""
