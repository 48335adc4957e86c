from hypothesis import settings

# A busy machine is no fault of the code.
settings.register_profile("syncer", deadline=None)
settings.load_profile("syncer")
