"""The DAG as a Prefect flow: order, retries, schedules, messages."""
