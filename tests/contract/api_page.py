"""docs/reference/api.md, made from the routes and the limits. `PYTHONPATH=tests python -m contract.api_page` writes it."""

from pathlib import Path

from spine_node.http import limits
from spine_node.http.reserved import RESERVED
from spine_node.http.router import Route
from spine_node.http.routes import routes

FILE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

INTRODUCTION = """\
# HTTP API

Made from the route table of the node by `tests/contract/api_page.py`; a test holds it equal. The fields and
limits of every body stand in [openapi-v1.yaml](openapi-v1.yaml), the failures in [problems.md](problems.md).
A running node shows its own document at `/openapi.json`.
"""

CONDITIONS = """
### Conditions and fences

- `If-Match: "ETAG"` or `*` on `PUT`, `PATCH` and `DELETE`, `If-None-Match: *` on `PUT`; in a batch `if_match` (the ETag with
  its quotes, or `*`) and `if_none_match`. A condition that does not hold is `412 precondition-failed`, with
  `current_version`, and with `current` where `Prefer: return=representation` asks for it.
- `Spine-Fence: KEY=NUMBER` makes a write that only the newest holder of a lease may make, and guards the memory from then
  on; `unguard=true` takes the guard away (without a fence it needs `namespace:admin`).
- A write whose model is `strong`, by its header or by a tag that an override makes strong, is decided by a round of its
  replicas as conditional ones are. **With the default configuration these tags are `critical` and `lock`.**

`POST` of a memory, a batch or a touch takes no condition in a header and answers `400` to one.\
"""

RULES = """

## Rules for requests

**Null** is the same as absent in every optional field of a body; inside `metadata` it is a value. A `PATCH`
removes with it.

**What was read can be written back.** Any view of a memory (of `GET`, a write, a list, a batch) is a body for
`PUT`. `id` and `namespace` must agree with the path; `version`, `created_at`, `updated_at`, `expires_at`, `writer`
and `guard` are the server's and ignored; everything else is stored as it stands. `ttl_seconds` counts from the new
write. A view leaves the embedding out unless `include=embedding` asks for it, and then says
`"omitted": ["embedding"]`: a `PUT` with that member keeps the stored embedding (read from a quorum; a body that
has an `embedding` stores its own), and answers `404` or `410`, not applied, if the memory is gone. To drop an
embedding, leave out both. Two writers at once: the later write stays, as with every unconditional `PUT`.

**Long filters** go into `POST /v1/ns/{ns}/memories:query`: its body has the parameters of the list as members, all
optional: `filter` (an object), `scope`, `order`, `page_size`, `page_token`, `include` (an array). It is a read:
scope `memory:read`, the same answer, and its page tokens are those of the `GET`. A `GET` takes 8 KiB of URL.

**Sessions**: `Spine-Session` takes up to 16 tokens, separated by commas or in several header lines of 8 KiB; the
answer carries one token that covers them. More than 16 are merged by `POST /v1/session:merge`, 16 at a time.

**HEAD** is answered wherever `GET` is: the same status and headers, no body.

**Refused before it is a request** (a URL or a header line of more than 8 KiB, more than 128 headers, bad chunks, an
unknown method, bytes that are no HTTP, plain HTTP to a port with certificates): `400 invalid-request` with a
`request_id`, and the connection is closed.

**Connections**: the first request has 30 s to come; an answer of which the client takes nothing for 30 s is cut. A
node holds as many connections as its limit of open files allows, less 128; then it closes those idle for longest,
and a new one only if none is idle. `GET /healthz/ready` has `reasons` then, and stays `200`.

**Integers** have 64 bits: -2^63 to 2^63 - 1.\
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
            CONDITIONS,
            RULES,
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
