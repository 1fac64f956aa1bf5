from hypothesis import settings

# A busy machine is slow now and then; that is no failure of the property.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
