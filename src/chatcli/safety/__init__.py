"""Text of others that tries to give the model orders, and answers that carry data out: found and reported."""
