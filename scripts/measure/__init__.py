"""Programs that try what users and strangers do to it."""
