"""The data gate: expectations, verdict, report."""
