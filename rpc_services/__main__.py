"""``python -m rpc_services <service> [migrate]``: eventlet patches the world before anything else is imported.

``python -m rpc_services healthy`` is asked every few seconds, so it imports none of that.
"""

import os
import sys
import warnings

from rpc_services import health_file

if __name__ == "__main__" and sys.argv[1:] == ["healthy"]:
    sys.exit(health_file.main(os.environ))

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402  # after the filter that silences its notice
import prometheus_client  # noqa: E402, F401  # before patching: its locks are never held across a switch

eventlet.monkey_patch()

from rpc_services.running import main  # noqa: E402  # after patching

if __name__ == "__main__":
    main()
