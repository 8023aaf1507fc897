"""Figures as PNG bytes: one kind a module, no pyplot state, the same bytes for the same input."""
