"""What ``benchmark/speed.py`` times, and how."""
