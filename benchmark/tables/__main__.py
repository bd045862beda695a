"""``python -m benchmark.tables``: see ``benchmark/tables/pages.py``."""

from __future__ import annotations

from benchmark.tables.pages import write_tables

if __name__ == "__main__":
    write_tables()
