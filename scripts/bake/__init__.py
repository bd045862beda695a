"""Makes the data files that ship: the head, its template albedo, its identity metric, the albedo basis."""
