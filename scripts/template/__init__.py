"""Parts of ``scripts/bake_template.py``."""
