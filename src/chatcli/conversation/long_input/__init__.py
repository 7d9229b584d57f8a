"""A question with a text that is too long for one request: read part by part, or cut."""
