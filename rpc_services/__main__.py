"""``python -m rpc_services <service> [migrate]``: eventlet patches the world before anything else is imported.

``python -m rpc_services healthy`` and ``alive`` are asked every few seconds, so they import none of that, and
migrations need none of it.
"""

import os
import sys
import warnings

from rpc_services import SERVICES, health_file

if __name__ == "__main__" and sys.argv[1:] in (["healthy"], ["alive"]):
    sys.exit(health_file.main(os.environ, question=sys.argv[1]))

if __name__ == "__main__" and sys.argv[2:] == ["migrate"] and sys.argv[1] in SERVICES:
    from rpc_services import migrating

    migrating.main(sys.argv[1], os.environ)
    sys.exit()

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402  # after the filter that silences its notice
import prometheus_client  # noqa: E402, F401  # before patching: its locks are never held across a switch

eventlet.monkey_patch()

from rpc_services.running import main  # noqa: E402  # after patching

if __name__ == "__main__":
    main()
