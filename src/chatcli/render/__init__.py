"""Renderers of a turn: observers of its event stream."""
