"""The user's settings, validated and normalized. No CDK in here, except in `normalize.py`."""
