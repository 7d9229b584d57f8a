"""The wiring: what is asked, through what, and the conversation around it. The only room that knows every other."""
