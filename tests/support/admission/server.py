"""Admission by a real API server, whose answers decide."""

import copy
from dataclasses import dataclass

from admission.cases import Case
from admission.crd import Json, resource
from localkube.api import APPLY, MERGE, Api
from localkube.errors import ApiError

# A refusal that the in-process schema names by keyword -> what the server's message says.
SERVER_WORDS = {
    "required": "Required value",
    "range": "should be",
    "duplicate": "Duplicate value",
    "text": "should ",
    "type": "must be of type",
    "enum": "Unsupported value",
    "pattern": "should match",
}


@dataclass(frozen=True, slots=True)
class Admission:
    """Creates and replaces MemorySpineClusters in one namespace, strictly validated."""

    api: Api
    namespace: str

    def admit(self, case: Case) -> Json:
        """Bring the case's object to the server and return what it stored.

        Raises:
            ApiError: the server refused it.
        """
        self._forget(case.object_name)
        new = resource(copy.deepcopy(case.new), name=case.object_name)
        if case.old is None:
            return self.api.call("POST", f"{self._path()}?fieldValidation=Strict", new)
        stored = self._store_old(case)
        new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
        path = f"{self._path(case.object_name)}?fieldValidation=Strict"
        return self.api.call("PUT", path, new)

    def apply_again(self, stored: Json) -> tuple[Json, Json]:
        """Apply twice what the server made of an object, as GitOps would; return both answers."""
        name = stored["metadata"]["name"]
        again = resource(stored["spec"], name=name)
        path = f"{self._path(name)}?fieldManager=gitops&force=true"
        first = self.api.call("PATCH", path, again, APPLY)
        return first, self.api.call("PATCH", path, again, APPLY)

    def _store_old(self, case: Case) -> Json:
        assert case.old is not None
        old = resource(copy.deepcopy(case.old), name=case.object_name)
        stored = self.api.call("POST", self._path(), old)
        if case.status:
            path = f"{self._path(case.object_name)}/status"
            stored = self.api.call("PATCH", path, {"status": case.status}, MERGE)
        return stored

    def _forget(self, name: str) -> None:
        if self.api.has(self._path(name)):
            self.api.call("DELETE", self._path(name))

    def _path(self, name: str = "") -> str:
        base = f"/apis/memoryspine.io/v1alpha1/namespaces/{self.namespace}/memoryspineclusters"
        return f"{base}/{name}".rstrip("/")


def refusal_of(admission: Admission, case: Case) -> str | None:
    """Return the server's words when it refuses the case, or None."""
    try:
        admission.admit(case)
    except ApiError as error:
        if error.status not in (400, 422):  # invalid or undecodable; anything else is no refusal
            raise
        return error.message
    return None
