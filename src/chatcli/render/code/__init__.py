"""Code line by line, in the colours of its language."""
