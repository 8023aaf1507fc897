"""What MLflow is told: runs, curves, data sets, where everything came from."""
