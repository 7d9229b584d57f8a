"""Questions with a text too long for one request: read in parts, or cut."""
