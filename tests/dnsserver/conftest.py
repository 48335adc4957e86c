"""Hypothesis: the same examples each run; HYPOTHESIS_PROFILE=search looks for new ones, and for more."""

import os

from hypothesis import HealthCheck, Phase, settings

_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)

settings.register_profile("repeatable", derandomize=True, max_examples=100, phases=_PHASES, **_COMMON)
settings.register_profile("search", max_examples=1000, phases=_PHASES[:2], **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
