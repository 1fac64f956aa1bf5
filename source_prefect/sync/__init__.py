"""How far a stream has come: state, watermark, windows. No CDK in here."""
