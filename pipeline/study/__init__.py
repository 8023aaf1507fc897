"""Ablations as DVC experiments: variants of one configuration, over seeds, in one table."""
