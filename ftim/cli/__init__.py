"""The command line: commands, photographs and folders of results, reports, completion of words."""

from ftim.cli.commands import main

__all__ = ["main"]
