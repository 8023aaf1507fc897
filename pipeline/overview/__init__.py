"""`reports/index.html`: the last run on one page."""
