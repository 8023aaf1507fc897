"""Reading what has lost ink, strokes or symbols."""
