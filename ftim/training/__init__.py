"""Self-supervised training of FTIM on triplets (paper, 2.1, 2.3, 3.1)."""
