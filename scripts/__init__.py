"""Programs of the repository, run from its root: ``python -m scripts.measure.detail``."""
