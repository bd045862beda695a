"""Is the albedo the person's? Path-traced heads whose albedo is known (``--dataset rendered``)."""
