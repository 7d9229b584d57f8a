"""The model port's implementations and the layers around them."""
