"""Handwritten mathematical expression recognition: ink or an image in, LaTeX out.

The library knows nothing of the pipeline that trains it (`pipeline/`): no DVC, Prefect, MLflow
or Great Expectations is imported here.
"""
