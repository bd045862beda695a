"""ftim: a complete facial texture and a textured 3D head from one photograph."""

__version__ = "0.1.0"
