"""docs/reference/api.md, made from the routes and the limits. `PYTHONPATH=tests python -m contract.api_page` writes it."""

from pathlib import Path

from spine_node.http import limits
from spine_node.http.router import Route
from spine_node.http.routes import RESERVED, routes

FILE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

INTRODUCTION = """\
# HTTP API

Made from the route table of the node by `tests/contract/api_page.py`; a test holds it equal. The fields and
limits of every body stand in [openapi-v1.yaml](openapi-v1.yaml), the failures in [problems.md](problems.md).
A running node shows its own document at `/openapi.json`.
"""

NOT_YET = """
### What is not built inside them

Conditions, fences and strong writes need registers, which this version does not have. They answer
`501 not-implemented`, outcome `not-applied`; none is ever passed over as if it had been checked:

- `If-Match`, `If-None-Match`, `Spine-Fence` and `unguard=true` on `PUT` and `DELETE` (`GET` knows `If-None-Match`);
  in a batch `if_match`, `if_none_match`, `fence` and the operation `patch`;
- a write whose model is `strong`: by its header, or by a tag that an override makes strong. **With the default
  configuration these are `critical` and `lock`.** Reads take all four models.

`POST` of a memory or a batch takes no condition in a header and answers `400` to one.\
"""


def api_page() -> str:
    """Return the whole page."""
    every = routes("0")
    built = [route for route in every if route.access != "admin" and not route.reserved]
    admin = [route for route in every if route.access == "admin"]
    return "\n".join(
        [
            INTRODUCTION,
            "## What is built\n",
            *_table(built),
            NOT_YET,
            "\n## Reserved\n",
            "These answer `501 not-implemented`, after the same checks of credential, namespace and scope.\n",
            *_table(RESERVED),
            "\n## Admin plane\n",
            "For the operator and `spine topology`. Bearer is the admin credential; every call but `GET status`",
            "names the store it means in `Spine-Store`. Jobs are reserved.\n",
            *_table(admin),
            "\n## Limits\n",
            "| name in `GET /v1/cluster` | value |",
            "|---|---|",
            *(f"| `{name}` | {value} |" for name, value in limits.PUBLISHED.items()),
            "",
        ]
    )


def _table(shown: list[Route] | tuple[Route, ...]) -> list[str]:
    rows = [
        f"| `{route.method} {route.path}` | {_scope(route)} | {_parameters(route)} |"
        for route in shown
    ]
    return ["| operation | scope | query and headers |", "|---|---|---|", *rows]


def _scope(route: Route) -> str:
    if route.access != "key":
        return "none" if route.access == "open" else "admin"
    if route.scope is not None:
        return f"`{route.scope}`"
    return "of each operation" if route.name == "batchMemories" else "any"


def _parameters(route: Route) -> str:
    shown = [known for known in route.parameters if known.place != "path"]
    return ", ".join(f"`{known.name}`" for known in shown)


if __name__ == "__main__":
    FILE.write_text(api_page(), encoding="utf-8")
