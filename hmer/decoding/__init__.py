"""Search over token sequences; knows nothing of images or LaTeX."""
