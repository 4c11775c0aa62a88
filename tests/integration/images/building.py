"""Images built with Podman on a base that debootstrap makes, and what they hold run in their own root, read-only."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from kirana.stack.packages import as_root

ROOT = Path(__file__).parents[3]
CACHE = Path.home() / ".cache" / "kirana"
SUITE = "bookworm"
BASE = "localhost/kirana-test-base"
USER = "10001"

UNPACK = r"""
set -eu
place=$1 suite=$2 mirror=$3 target=$4
root=$place/root
wanted=python3-venv,ca-certificates,nginx-light,busybox
debootstrap --foreign --variant=minbase --include="$wanted" "$suite" "$root" "$mirror"
for package in "$root"/var/cache/apt/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
: >"$root/etc/shadow"
rm -rf "$root/var/cache/apt/archives" "$root/debootstrap"
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale"
for applet in wget nslookup; do ln -s busybox "$root/bin/$applet"; done
chroot "$root" ldconfig
tar --directory "$root" --create --file "$target" .
chmod 644 "$target"
"""
"""Unpacked and not configured: enough to run Python and nginx, in a third of the time. Alpine has BusyBox's tools."""

INSIDE = r"""
set -eu
root=$1 lent=$2
shift 2
mount --make-rprivate /
mount -t proc proc "$root/proc"
for place in /tmp /var/lib/kirana /var/lib/traffic /var/spool/kirana; do
    if [ -d "$root$place" ]; then
        mount -t tmpfs tmpfs "$root$place"
        chmod 1777 "$root$place"
    fi
done
mount --rbind /dev "$root/dev"
if [ -n "$lent" ]; then
    mkdir "$root/tmp/lent"
    mount --bind "$lent" "$root/tmp/lent"
    if [ -f "$lent/nginx.conf" ]; then mount --bind "$lent/nginx.conf" "$root/etc/nginx/nginx.conf"; fi
fi
exec chroot --userspec=10001:10001 "$root" "$@"
"""


class Workshop:
    """A context manager: a place where Podman builds, of which nothing stays but the base, kept for the next time."""

    def __enter__(self):
        self._home = tempfile.TemporaryDirectory(prefix="kirana-images-", ignore_cleanup_errors=True)
        self.home = Path(self._home.name)
        self._running = []
        try:
            with self._base().open("rb") as base:
                self.podman("import", "-", BASE, stdin=base)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_fault):
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.podman("image", "unmount", "--all", "--force", check=False)
        self.podman("rmi", "--all", "--force", check=False)
        _root("rm", "-rf", "--one-file-system", self.home / "storage", self.home / "run")
        self._home.cleanup()

    def podman(self, *words, check=True, **options):
        places = ("--root", self.home / "storage", "--runroot", self.home / "run")
        return _root("podman", *places, *words, check=check, **options)

    def build(self, name):
        """The image of ``docker/NAME.Dockerfile``."""
        image = f"localhost/kirana-test-{name}"
        handed = [word for path in self._pip() for word in ("--volume", f"{path}:ro")]
        self.podman(
            *("build", "--isolation", "chroot", "--format", "docker"),
            *(word for kind in ("PYTHON", "NGINX") for word in ("--build-arg", f"{kind}_IMAGE={BASE}")),
            *(*handed, "--file", ROOT / "docker" / f"{name}.Dockerfile", "--tag", image, ROOT),
        )
        return Image(self, image)

    def keep(self, process):
        self._running.append(process)
        return process

    def _base(self):
        """The tar of the base, made when its recipe or its Python is new."""
        recipe = hashlib.sha256(f"{UNPACK}{SUITE}".encode()).hexdigest()[:12]
        kept = CACHE / f"base-{recipe}.tar"
        if not kept.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            draft = self.home / "base.tar"
            _root("sh", "-c", UNPACK, "sh", self.home / "base", SUITE, _mirror(), draft)
            _root("rm", "-rf", self.home / "base")
            shutil.copy(draft, kept.with_suffix(f".{os.getpid()}"))
            kept.with_suffix(f".{os.getpid()}").replace(kept)
            draft.unlink(missing_ok=True)
        return kept

    def _pip(self):
        """This machine's settings of pip as files for the build: index, proxy and certificates are its own affair."""
        told = subprocess.run(
            [shutil.which("pip3") or "pip3", "config", "list"], capture_output=True, text=True, check=False
        ).stdout
        pairs = [line.partition("=") for line in told.splitlines() if "=" in line]
        settings = {name.split(".")[-1]: value.strip("'\"") for name, _, value in pairs}
        written = self.home / "pip.conf"
        lines = (f"{name} = {value}" for name, value in settings.items() if name in SHARED_WITH_BUILDS)
        written.write_text("\n".join(["[global]", *lines, ""]))
        yield f"{written}:/etc/pip.conf"
        for name in SHARED_WITH_BUILDS & settings.keys():
            for word in settings[name].split():
                path = Path(word)
                if word.startswith("file://"):  # an index points to files beside itself
                    path = Path(word.removeprefix("file://")).parent
                if path.is_absolute() and path.exists():
                    yield f"{path}:{path}"


SHARED_WITH_BUILDS = {"index-url", "extra-index-url", "find-links", "cert", "trusted-host", "timeout", "proxy"}


class Image:
    """An image that was built, mounted; ``run`` runs a command of it as it would run in a read-only container."""

    def __init__(self, workshop, name):
        self._workshop = workshop
        self.name = name
        self.root = Path(workshop.podman("image", "mount", name).strip())
        told = json.loads(workshop.podman("image", "inspect", name))[0]
        self.config, self.health, self.bytes = told["Config"], told.get("Healthcheck"), told["Size"]

    def run(self, *command, **environment):
        """Exit status, and what was said."""
        done = subprocess.run(
            self._inside(command, environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, log, *command, lent="", **environment):
        """The same in the background, ended with the workshop. What is in the folder ``lent`` is in ``/tmp/lent``."""
        with log.open("ab") as words:
            log.chmod(0o666)  # who opens its own standard output again is the user of the image
            return self._workshop.keep(
                subprocess.Popen(
                    self._inside(command, environment, lent), stdout=words, stderr=words, start_new_session=True
                )
            )

    def _inside(self, command, environment, lent=""):
        image = dict(each.split("=", 1) for each in self.config["Env"])
        variables = [f"{name}={value}" for name, value in (image | environment).items()]
        inside = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(self.root), str(lent)]
        return [*as_root(), *inside, "/usr/bin/env", "-i", *variables, *command]


def _mirror():
    """Where this machine itself gets its packages."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {SUITE}"]
    found = sorted(set(_root(*wanted).split()))
    assert found, f"apt knows no source of {SUITE} here"
    return found[0]


def _root(*words, check=True, **options):
    done = subprocess.run(
        [*as_root(), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        **options,
    )
    assert not check or done.returncode == 0, f"{words[:9]}\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done.stdout
