"""Airbyte source for Prefect Cloud and Prefect Server."""

from source_prefect.source import SourcePrefect

__all__ = ["SourcePrefect"]
