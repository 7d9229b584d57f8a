"""Sessions as other things read them: a transcript for people, JSON for programs. One file a form.

HTML is made of the same transcript by ``render/html_export``, where the libraries for that are.
"""
