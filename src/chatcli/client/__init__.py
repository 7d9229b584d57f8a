"""Clients of model endpoints and the pipeline of layers around them."""
