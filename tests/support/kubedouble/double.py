"""`KubePort` in memory: objects with uid, resourceVersion, generation, owners of fields, finalizers.

Nothing else of Kubernetes is here. What it promises is tests/contract/kube_port.py, which also runs on
the real adapter. A write that changes nothing leaves the resourceVersion as it was.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from spine_operator.naming import CLUSTER_LABEL
from spine_operator.ports import ConflictError, Json, Kind, NotFoundError, RefusedError, kind_of

Object = dict[str, Any]
Key = tuple[Kind, str, str]
Path = tuple[str, ...]
_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")


class KubeDouble:
    """The API server. `objects` is the truth; `writes` counts what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.applied: dict[Key, set[Path]] = {}  # the fields that the operator owns by apply
        self.writes: list[tuple[str, Kind, str]] = []
        self.now = "2026-01-01T00:00:00Z"
        self.invalid: dict[Kind, str] = {}  # kinds whose applies the server refuses, and why
        self._counter = 0

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return _copy(self._found((kind, namespace, name)))

    async def list(self, kind: Kind, namespace: str, cluster: str) -> Sequence[Json]:
        return [
            _copy(item)
            for key, item in sorted(self.objects.items())
            if key[:2] == (kind, namespace)
            and item["metadata"].get("labels", {}).get(CLUSTER_LABEL) == cluster
        ]

    async def create(self, manifest: Json) -> Json:
        key = self._key(manifest)
        self.writes.append(("create", key[0], key[2]))
        if key in self.objects:
            raise ConflictError(f"{key[2]} exists")
        return self._add(key, _copy(manifest))

    async def apply(self, manifest: Json) -> Json:
        key = self._key(manifest)
        self.writes.append(("apply", key[0], key[2]))
        if key[0] in self.invalid:
            raise RefusedError(self.invalid[key[0]])
        wanted = _copy(manifest)
        version = wanted["metadata"].pop("resourceVersion", None)
        paths = set(_leaves(wanted))
        if key not in self.objects:
            self.applied[key] = paths
            return self._add(key, wanted)
        live = self._found(key)
        self._check({"resourceVersion": version} if version else {}, live)
        after = _copy(live)
        for path in self.applied.get(key, set()) - paths:
            _remove(after, path)
        _merge(after, wanted)
        self.applied[key] = paths
        return self._store(key, after)

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        self.writes.append(("patch", kind, name))
        return self.edit(kind, namespace, name, patch)

    async def patch_status(self, namespace: str, name: str, status: Json) -> None:
        self.writes.append(("status", Kind.CLUSTER, name))
        self.edit(Kind.CLUSTER, namespace, name, {"status": status})

    async def replace(self, manifest: Json) -> Json:
        key = self._key(manifest)
        self.writes.append(("replace", key[0], key[2]))
        live = self._found(key)
        self._check(manifest["metadata"], live)
        identity = {k: v for k, v in live["metadata"].items() if k in _IDENTITY}
        after = _copy(manifest)
        after["metadata"] |= identity
        return self._store(key, after)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        self.writes.append(("delete", kind, name))
        self._check({"uid": uid}, self._found((kind, namespace, name)))
        self.remove(kind, namespace, name)

    def edit(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """Merge as somebody else would: not counted as a write of the operator."""
        key = (kind, namespace, name)
        live = self._found(key)
        expected = patch.get("metadata", {})
        if expected.get("uid") not in (None, live["metadata"]["uid"]):
            raise RefusedError(f"{name} has another uid")
        self._check(expected, live)
        after = _copy(live)
        _merge(after, {k: v for k, v in patch.items() if k != "metadata"})
        identity = {k: v for k, v in patch.get("metadata", {}).items() if k not in _IDENTITY}
        _merge(after["metadata"], identity)
        return self._store(key, after)

    def add(self, manifest: Json) -> Json:
        """Create as somebody else would."""
        return self._add(self._key(manifest), _copy(manifest))

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete; finalizers hold the object until they are gone."""
        key = (kind, namespace, name)
        live = self._found(key)
        if live["metadata"].get("finalizers"):
            live["metadata"].setdefault("deletionTimestamp", self.now)
            self._stamp(live)
            return
        del self.objects[key]
        self.applied.pop(key, None)

    def _add(self, key: Key, item: Object) -> Json:
        self._counter += 1
        item["metadata"] |= {
            "uid": f"00000000-0000-4000-8000-{self._counter:012d}",
            "creationTimestamp": self.now,
            "generation": 1,
        }
        self._stamp(item)
        self.objects[key] = item
        return _copy(item)

    def _store(self, key: Key, after: Object) -> Json:
        live = self.objects[key]
        if after != live:
            if after.get("spec") != live.get("spec"):
                after["metadata"]["generation"] += 1
            self._stamp(after)
            self.objects[key] = after
            if "deletionTimestamp" in after["metadata"] and not after["metadata"]["finalizers"]:
                del self.objects[key]
        return _copy(after)

    def _stamp(self, item: Object) -> None:
        self._counter += 1
        item["metadata"]["resourceVersion"] = str(self._counter)

    def _found(self, key: Key) -> Object:
        if key not in self.objects:
            raise NotFoundError(f"no {key[0]} {key[2]}")
        return self.objects[key]

    def _check(self, expected: Json, live: Object) -> None:
        for name in ("uid", "resourceVersion"):
            if expected.get(name) not in (None, live["metadata"][name]):
                raise ConflictError(f"{live['metadata']['name']} has another {name}")

    def _key(self, manifest: Json) -> Key:
        metadata = manifest["metadata"]
        return kind_of(manifest), metadata["namespace"], metadata["name"]


def _copy(value: Json) -> Object:
    """Copy JSON; several times faster than a copy that must expect anything."""
    copied: Object = json.loads(json.dumps(value))
    return copied


def _leaves(value: Object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values; a list counts as one value."""
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name)


def _remove(value: Object, path: Path) -> None:
    for name in path[:-1]:
        value = value.get(name, {})
    value.pop(path[-1], None)


def _merge(target: Object, patch: Json) -> None:
    """Merge as RFC 7386 does: None removes."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            inner = target.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = target[name] = {}
            _merge(inner, value)
        else:
            target[name] = json.loads(json.dumps(value))
