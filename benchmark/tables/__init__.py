"""What is made from the JSON of results: tables, pages, verdicts, and figures of scores."""
