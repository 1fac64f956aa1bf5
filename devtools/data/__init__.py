"""Rows, on a real server or as the tables of a sync."""
