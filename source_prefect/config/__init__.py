"""What a person typed into the form, checked and made ready for use. No CDK in here, but for `normalize.py`."""
