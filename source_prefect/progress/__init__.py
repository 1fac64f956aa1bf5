"""How far a stream has been read: states, watermark, windows, digests. No CDK in here."""
