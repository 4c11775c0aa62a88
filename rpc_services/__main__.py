"""``python -m rpc_services <service> [migrate]``: eventlet patches the world before anything else is imported."""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402  # after the filter that silences its notice

eventlet.monkey_patch()

from rpc_services.running import main  # noqa: E402  # after patching

if __name__ == "__main__":
    main()
