"""The tables of the results, as the document has them."""

from pathlib import Path

from bench import tables

ROW = {
    "accounts": 1000,
    "width": 64,
    "leases": "on blobs",
    "wall": 15.0,
    "limit": 10.0,
    "waited": None,
    "cpu": 0.0141,
    "peak": 149.4,
    "requests": 12.71,
    "failed": 0,
}


def test_a_row_is_shown_as_the_document_shows_it() -> None:
    """A ratio is worked out, a thousand has its comma, and what was not measured is left blank."""
    shown = {heading: show(ROW) for heading, show in tables.FLEET.items()}

    assert ("1,000", "1.50", "", "14.1") == (
        shown["accounts"],
        shown["of limit"],
        shown["first thread waited, s"],
        shown["CPU each, ms"],
    )


def test_the_documents_tables_have_the_columns_that_are_printed() -> None:
    """So that what `make bench` prints can be put in their place."""
    document = (Path(__file__).parents[2] / "docs/performance.md").read_text()
    columns = (
        tables.RIVALS,
        tables.SINGLE,
        tables.FLEET,
        tables.THROTTLED,
        tables.SWEEP,
        tables.SCALE_OUT,
        tables.FUNCTIONS,
    )

    assert [] == [list(headings) for headings in columns if f"| {' | '.join(headings)} |" not in document]


def test_a_failure_stands_out() -> None:
    """A key that does not work is not to be overlooked among numbers."""
    assert "**NO**" == tables.RIVALS["all keys work"]({"opens": False})
