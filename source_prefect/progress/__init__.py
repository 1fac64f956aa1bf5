"""How far a stream has been read: states, watermark, ranges, digests. No CDK in here."""
