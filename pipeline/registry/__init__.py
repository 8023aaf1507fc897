"""Versions of the model: packaged, compared, promoted, brought back, shipped."""
