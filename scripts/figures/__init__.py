"""Draws the pictures of the pages."""
