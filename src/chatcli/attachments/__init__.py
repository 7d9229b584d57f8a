"""Attachments: reading files and pipes, telling text from data, and marking them up for the model."""
