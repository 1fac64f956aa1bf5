"""How far a stream has been read: state, watermark, windows. No CDK in here."""
