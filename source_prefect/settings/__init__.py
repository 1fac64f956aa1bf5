"""What a user wrote, parsed once into frozen values. No CDK in here."""
