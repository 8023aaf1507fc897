from __future__ import annotations

from hmer.evaluation.index import COLUMNS, index_page


def test_every_set_has_a_row_that_leads_to_its_report() -> None:
    numbers = dict.fromkeys(COLUMNS, 12.345) | {"n": 986.0}
    page = index_page({"val": numbers, "test-<2014>": numbers})
    assert 'href="val/index.html"' in page
    assert ">986<" in page
    assert "test-<2014>" not in page  # escaped
    assert "http" not in page
