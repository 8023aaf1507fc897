"""What frozen features tell apart: nearest neighbours, and a linear probe."""
