"""The benchmark: photographs and methods in, tables with provenance out. Not part of the installed package."""
