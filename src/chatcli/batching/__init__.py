"""Many requests: rows in, results out, and the run between them. Draws nothing and knows no endpoint."""
