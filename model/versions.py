"""Versions of models in a store: added signed, read verified, loaded ready to score.

Light: the web process loads a compiled version without scikit-learn. The store is handed in, so nothing here
knows MongoDB; ``utils.mongo.versions.VersionStore`` is one.
"""

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from model import artifact, lineage
from model.artifact import (
    ADDITIVE,
    CONFORMAL,
    GOLDEN,
    GRAPH,
    LINEAGE,
    NOVELTY,
    PIPELINE,
    Manifest,
    OtherPackagesError,
)
from model.conformal import Conformal
from model.explanation import Explainer
from model.golden import Golden, replay
from model.novelty import Detector, Novelty
from model.predictor import CompiledPredictor, Predictor
from model.spec import Spec
from utils.errors import IntegrityError

if TYPE_CHECKING:
    from model.training import Trained

log = logging.getLogger(__name__)

# The parts of which ``loaded`` asks for those that a version has.
SERVED = (GOLDEN, PIPELINE, GRAPH, CONFORMAL, NOVELTY, ADDITIVE)


class Store(Protocol):
    """Where versions are kept; see ``utils.mongo.versions.VersionStore``."""

    def next_version(self, model: str) -> str:
        """Take the next number for a version."""

    def add(self, model: str, manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Store one version, whole or not at all."""

    def manifest(self, model: str, version: str) -> dict[str, Any]:
        """Return the manifest of one version, unchecked."""

    def part(self, model: str, version: str, name: str) -> bytes:
        """Return the bytes of one part, unchecked."""


@dataclass(slots=True)
class LoadedVersion:
    """One version, verified and proven on its golden rows, ready to score.

    ``conformal`` and ``detector`` are None where the spec does not ask for them.
    """

    model: str
    version: str
    spec: Spec
    threshold: float
    predictor: Predictor
    manifest: Manifest
    explainer: Explainer
    conformal: Conformal | None = None
    detector: Detector | None = None


class Versions:
    """Adds versions to a store and reads them back.

    Parameters
    ----------
    store : Store
        Where they are kept.
    key : bytes
        What they are signed with; see ``artifact.signing_key``.
    """

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key

    def add(
        self,
        trained: "Trained",
        *,
        source: str = "",
        source_digest: str = "",
        learnt_from: Sequence[str] = (),
    ) -> Manifest:
        """Store what training made as a new version, and return its manifest.

        Parameters
        ----------
        source, source_digest : str
            Where the training rows came from, and the SHA-256 of that file.
        learnt_from : sequence of str
            Ids of the logged predictions among the rows; ``learnt_from`` returns them.
        """
        # Only a process that has trained gets here; all others do without scikit-learn.
        pack = importlib.import_module("model.packing").pack
        model = trained.spec.name
        manifest, parts = pack(
            trained,
            self._store.next_version(model),
            self._key,
            source=source,
            source_digest=source_digest,
            learnt_from=learnt_from,
        )
        self._store.add(model, manifest.document(), parts)
        return manifest  # type: ignore[no-any-return]  # the module was imported by name

    def manifest(self, model: str, version: str) -> Manifest:
        """Return the verified manifest of a version.

        Raises
        ------
        NotFoundError
            If there is no such version.
        IntegrityError
            If it is not what this installation signed under this name.
        """
        manifest = artifact.from_document(self._store.manifest(model, version))
        artifact.verify(manifest, self._key)
        if (manifest.model, manifest.version) != (model, version):
            raise IntegrityError(f"Under {model} {version}, {manifest.model} {manifest.version} is stored.")
        return manifest

    def part(self, model: str, version: str, name: str) -> bytes:
        """Return a part's verified bytes. Raises as ``manifest`` does."""
        return self._part(self.manifest(model, version), name)

    def learnt_from(self, model: str, version: str) -> list[str]:
        """Return the ids of the logged predictions that a version learnt from; raises as ``manifest``."""
        manifest = self.manifest(model, version)
        return lineage.decode(self._part(manifest, LINEAGE)) if LINEAGE in manifest.parts else []

    def _part(self, manifest: Manifest, name: str) -> bytes:
        return artifact.checked(manifest, name, self._store.part(manifest.model, manifest.version, name))

    def load(self, model: str, version: str) -> LoadedVersion:
        """Return a version ready to score: compiled where that reproduces its golden rows, else the pipeline.

        Raises
        ------
        NotFoundError, IntegrityError
            As ``manifest`` does.
        OtherPackagesError
            If neither answers the golden rows as at training; names what to install.
        """
        manifest = self.manifest(model, version)
        return loaded(manifest, lambda name: self._part(manifest, name))


def loaded(manifest: Manifest, part: Callable[[str], bytes]) -> LoadedVersion:
    """Return a version ready to score, from a verified manifest and what returns its verified parts.

    Raises OtherPackagesError as ``Versions.load`` does.
    """
    spec = manifest.resolved_spec()
    _warn_other_scikit_learn(manifest)
    golden = Golden.from_bytes(part(GOLDEN))
    predictor = _predictor(manifest, spec, golden, part)
    return LoadedVersion(
        manifest.model,
        manifest.version,
        spec,
        manifest.threshold,
        predictor,
        manifest,
        Explainer(spec, predictor, golden, part(ADDITIVE) if ADDITIVE in manifest.parts else None),
        _conformal(manifest, part),
        _detector(manifest, part),
    )


def _conformal(manifest: Manifest, part: Callable[[str], bytes]) -> Conformal | None:
    return Conformal.from_bytes(part(CONFORMAL)) if CONFORMAL in manifest.parts else None


def _detector(manifest: Manifest, part: Callable[[str], bytes]) -> Detector | None:
    return Detector(Novelty.from_bytes(part(NOVELTY))) if NOVELTY in manifest.parts else None


def _predictor(manifest: Manifest, spec: Spec, golden: Golden, part: Callable[[str], bytes]) -> Predictor:
    # The pipeline's bytes stay in memory, so that it can step in while MongoDB is away.
    fallback = _Fallback(manifest, spec, golden, part(PIPELINE))
    if GRAPH not in manifest.parts:
        return fallback()
    return _compiled(manifest, part(GRAPH), golden, fallback) or fallback()


def _compiled(
    manifest: Manifest, graph: bytes, golden: Golden, fallback: "_Fallback"
) -> CompiledPredictor | None:
    """Return the compiled predictor if it answers the golden rows as the pipeline did, else None."""
    name = f"{manifest.model} {manifest.version}"
    try:
        predictor = CompiledPredictor(graph, fallback=fallback)
    except Exception:  # ONNX Runtime raises types of its own; the pipeline serves instead
        log.exception("%s: ONNX Runtime refuses the compiled pipeline; scikit-learn serves", name)
        return None
    result = replay(predictor, golden)
    if result.is_ok:
        return predictor
    log.error(
        "%s: compiled, golden row %s differs by %g; scikit-learn serves",
        name,
        result.row,
        result.largest_difference,
    )
    return None


@dataclass(frozen=True)
class _Fallback:
    """The pipeline itself, unpickled when it is first needed and proven before it answers."""

    manifest: Manifest
    spec: Spec
    golden: Golden
    content: bytes

    def __call__(self) -> Predictor:
        """Return the predictor that runs the pipeline."""
        # By name, so that a process whose models are compiled never imports scikit-learn and pandas.
        load = importlib.import_module("model.pickling").load
        sklearn_predictor = importlib.import_module("model.fallback").SklearnPredictor
        pipeline = load(self.content, self.manifest)
        predictor: Predictor = sklearn_predictor(pipeline, list(self.spec.features), self.spec.texts)
        self._prove(predictor)
        return predictor

    def _prove(self, predictor: Predictor) -> None:
        result = replay(predictor, self.golden)
        if not result.is_ok:
            raise OtherPackagesError(
                f"{self.manifest.model} {self.manifest.version} answers golden row {result.row} otherwise"
                f" than at training (by {result.largest_difference:.3g}). {artifact.advice(self.manifest)}"
            )


def _warn_other_scikit_learn(manifest: Manifest) -> None:
    trained_with = artifact.other_packages(manifest).get("scikit-learn")
    if trained_with:
        log.warning(
            "%s %s was trained with scikit-learn %s, another than here; its golden rows decide whether it"
            " serves. To be safe: pip install scikit-learn==%s",
            manifest.model,
            manifest.version,
            trained_with,
            trained_with,
        )
