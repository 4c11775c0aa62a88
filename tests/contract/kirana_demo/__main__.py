"""``python -m kirana_demo [migrate]``."""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import os  # noqa: E402
import sys  # noqa: E402

from kirana_demo import NEWS_SECONDS  # noqa: E402
from kirana_demo.service import Service  # noqa: E402
from rpc_services.running import run  # noqa: E402
from shared.contracts import frames  # noqa: E402
from shared.nameko_ext import link, remote  # noqa: E402
from shared.persistence.migrations import migrate  # noqa: E402

frames.RETURN_SECONDS = remote.TELLING_SECONDS = NEWS_SECONDS
link.HEARTBEAT_SECONDS = int(os.environ.get("DEMO_HEARTBEAT_SECONDS", link.HEARTBEAT_SECONDS))
link.OPENING_SECONDS = float(os.environ.get("DEMO_OPENING_SECONDS", link.OPENING_SECONDS))

if sys.argv[1:] == ["migrate"]:
    migrate("kirana_demo", os.environ["KIRANA_DATABASE_URL"])
else:
    run(Service, os.environ)
