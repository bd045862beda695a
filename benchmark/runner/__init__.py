"""One run of the benchmark: photographs drawn by each method and scored, with a record of where numbers came from."""
