"""What a stored version is: a signed manifest, and parts of which it has the digests.

Light: no scikit-learn, no pickle. Whoever reads a version calls ``verify`` on its manifest and ``checked`` on
each part before anything else is done with the bytes; ``model.pickling`` is the only place that unpickles.
"""

import hashlib
import hmac
import importlib.metadata
import logging
import os
import platform
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from model import spec as specs
from model.spec import Spec, Task
from utils.errors import IntegrityError, SettingsError, UnavailableError
from utils.settings import Settings

log = logging.getLogger(__name__)

PIPELINE, GRAPH = "pipeline.joblib", "pipeline.onnx"
GOLDEN, REFERENCE = "golden.json", "reference.bin"
LINEAGE, EXPECTATION = "lineage.json", "expectation.json"
CONFORMAL, NOVELTY, ADDITIVE = "conformal.json", "novelty.bin", "additive.npz"

# Whose versions decide whether a pipeline can be unpickled and answers the same.
PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "joblib", "onnxruntime")
MIN_KEY_BYTES = 16


class OtherPackagesError(UnavailableError):
    """A version that cannot answer as it did when it was trained, with the packages installed here."""

    code = "other_packages"
    title = "Model needs other packages"


class TrainedOn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rows of a training: where from (a name, not a path), the digest of that file, and how many.

    ``since``: only labelled predictions from then on, and no row of the file.
    """

    source: str
    digest: str
    n_rows: int
    n_held_out: int
    n_unlabelled: int
    n_incomplete: int
    since: datetime | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All about one version but its parts.

    ``spec`` is the resolved spec as YAML text, ``metrics`` are those of the held-out rows,
    ``cross_validation`` has mean and standard deviation of each, ``parts`` the SHA-256 of each part.
    ``not_compiled`` says why there is no compiled part, "" if there is one. ``signature`` covers the rest.
    A field that is added later needs a default: as defaults are not written, older versions stay valid.
    """

    model: str
    version: str
    created_at: datetime
    task: Task
    spec: str
    metrics: dict[str, float | None]
    cross_validation: dict[str, dict[str, float | None]]
    threshold: float
    packages: dict[str, str]
    python: str
    trained_on: TrainedOn
    seconds: float
    parts: dict[str, str]
    not_compiled: str = ""
    signature: str = ""

    def resolved_spec(self) -> Spec:
        """Return the spec; its text was written by this program and is signed."""
        return _spec(self.spec, f"spec of {self.model} {self.version}")

    def document(self) -> dict[str, Any]:
        """Return plain values, as they are stored; instants stay instants."""
        found: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(datetime,))
        return found


@lru_cache(maxsize=64)
def _spec(text: str, origin: str) -> Spec:
    """Read a stored spec; reading YAML takes as long as storing hundreds of labels."""
    return specs.loads(text, origin)


def from_document(document: Mapping[str, Any]) -> Manifest:
    """Read what ``document`` wrote. Raises IntegrityError if it is not a manifest."""
    try:
        return msgspec.convert(document, Manifest)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"A stored manifest cannot be read: {error}.") from None


def digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def installed_packages() -> dict[str, str]:
    """Return the versions of the packages that matter, without importing them."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def other_packages(manifest: Manifest) -> dict[str, str]:
    """Return the packages that are installed in another version than at training, with the version then."""
    here = installed_packages()
    return {name: version for name, version in manifest.packages.items() if here.get(name) != version}


def advice(manifest: Manifest) -> str:
    """Say what to install so that a version answers as it did when it was trained."""
    pins = [f"{name}=={version}" for name, version in other_packages(manifest).items()]
    return f"Install what it was trained with: pip install {' '.join(pins)}" if pins else "Train it again."


def python_version() -> str:
    """Return the version of this Python."""
    return platform.python_version()


def sign(manifest: Manifest, key: bytes) -> Manifest:
    """Return the manifest with its signature, HMAC-SHA256 over its canonical JSON."""
    return msgspec.structs.replace(manifest, signature=_signature(manifest, key))


def verify(manifest: Manifest, key: bytes) -> None:
    """Check that this installation signed the manifest.

    Raises
    ------
    IntegrityError
        If it did not, or the manifest was changed since.
    """
    # As bytes, since a forged signature may hold any letter.
    if not hmac.compare_digest(manifest.signature.encode(), _signature(manifest, key).encode()):
        raise IntegrityError(
            f"Version {manifest.version} of {manifest.model} was not signed with this installation's key, or"
            " was changed since. SIGNING_KEY (or STATE_DIR/signing-key) must be the one it was stored with."
        )


def checked(manifest: Manifest, name: str, content: bytes) -> bytes:
    """Return a part's bytes if they are those that were signed; raises IntegrityError if not."""
    expected = manifest.parts.get(name, "")
    if not hmac.compare_digest(expected.encode(), digest(content).encode()):
        raise IntegrityError(
            f"{name} of version {manifest.version} of {manifest.model} is not what was signed."
        )
    return content


def _signature(manifest: Manifest, key: bytes) -> str:
    unsigned = msgspec.to_builtins(msgspec.structs.replace(manifest, signature=""))
    canonical = msgspec.json.encode(unsigned, order="sorted")
    return hmac.new(key, canonical, hashlib.sha256).hexdigest()


def signing_key(settings: Settings) -> bytes:
    """Return the key that versions are signed with: the setting, else one made once under STATE_DIR.

    Raises
    ------
    SettingsError
        If the key is too short, or cannot be read or made.
    """
    if settings.signing_key is not None:
        return _long_enough(settings.signing_key.encode(), "SIGNING_KEY")
    path = settings.state_dir / "signing-key"
    try:
        if not path.exists():
            _make_key(path)
        return _long_enough(path.read_bytes().strip(), str(path))
    except OSError as error:
        raise SettingsError(f"STATE_DIR: the signing key {path} cannot be used ({error.strerror}).") from None


def _long_enough(key: bytes, origin: str) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"{origin}: a signing key has {MIN_KEY_BYTES} characters at least.")
    return key


def _make_key(path: Path) -> None:
    """Write a new key, whole or not at all; of several processes at once the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        log.info("made the key that signs models: %s", path)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink(missing_ok=True)
