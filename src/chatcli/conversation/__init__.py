"""The conversation: what is kept, what the model sees of it, and one turn from question to reply."""
