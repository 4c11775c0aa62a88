from hypothesis import HealthCheck, settings

from tests.stack_fixture import stack

__all__ = ["stack"]

# A busy machine draws slowly and is late: neither is a fault of what is tested.
settings.register_profile("kirana", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("kirana")
