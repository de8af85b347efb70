"""Admission in process: defaults, then the schema, then the rules. Pure."""

import copy

from admission.cases import Case
from admission.crd import SCHEMA, Json, resource
from admission.rules import rule_errors
from admission.structural import fill_defaults, schema_errors


def defaulted(spec: Json, *, name: str = "spine", status: Json | None = None) -> Json:
    """Return the object as the API server stores it; `spec` stays as it is."""
    made = resource(copy.deepcopy(spec), name=name, status=status)
    fill_defaults(SCHEMA, made)
    return made


def refusals(case: Case) -> list[str]:
    """Return why the case's object is refused; nothing means accepted."""
    new = defaulted(case.new, name=case.object_name, status=case.status)
    old = None
    if case.old is not None:
        old = defaulted(case.old, name=case.object_name, status=case.status)
    return schema_errors(SCHEMA, new) or rule_errors(SCHEMA, new, old)
