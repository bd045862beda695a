"""Turns finished trainings into weights that ship, with their cards."""
