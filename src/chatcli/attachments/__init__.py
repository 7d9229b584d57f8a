"""What a person hands over beside their words: reading it, telling text from data, framing it for the model."""
