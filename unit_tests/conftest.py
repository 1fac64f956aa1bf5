from hypothesis import Phase, settings

# A busy machine is slow now and then; that is no failure of the property.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# `make mutants`: the same examples each time, and no search for the smallest that fails.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
