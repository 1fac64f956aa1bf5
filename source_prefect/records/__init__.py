"""Turns the rows of the API into records."""
