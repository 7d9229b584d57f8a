"""The wiring of model, pipeline and conversation. The only room that knows every other."""
