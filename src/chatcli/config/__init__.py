"""Settings, where each value came from, and which key belongs to which endpoint."""
