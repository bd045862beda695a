"""Heads of nobody, rendered with all that is known of them: what teaches FTIM light, gloss, hair and things."""
