"""How the hub is asked for something: one JSON request and one answer over a unix socket.

A request may carry file descriptors. That is how a listening socket from outside gets into the
hub: a socket belongs to the network namespace it was made in, whoever holds it.
"""

import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from localkube.api import Json
from localkube.errors import HubError, LocalKubeError

REQUEST_BYTES_MAX = 65536
FDS_MAX = 1
ANSWER_DEADLINE_S = 60.0  # importing an image is the slowest request

Handler = Callable[[Json, Sequence[int]], Json]


def socket_path(root: Path) -> Path:
    """Return where the hub of a cluster listens; it does so once all nodes are Ready."""
    return root / "hub.sock"


def ask(root: Path, request: Json, fds: Sequence[int] = ()) -> Json:
    """Ask the hub of the cluster in `root`.

    Raises:
        HubError: there is no hub, or it could not do it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(ANSWER_DEADLINE_S)
        try:
            client.connect(str(socket_path(root)))
        except OSError as error:
            raise HubError(f"no cluster runs in {root}") from error
        socket.send_fds(client, [json.dumps(request).encode()], list(fds))
        answer: Json = json.loads(client.recv(REQUEST_BYTES_MAX) or b'{"error": "the hub ended"}')
    if "error" in answer:
        raise HubError(answer["error"])
    return answer


def serve(root: Path, handle: Handler) -> None:
    """Answer requests for ever, one after the other, in this thread."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(str(socket_path(root)))
        server.listen()
        while True:
            connection, _ = server.accept()
            with connection:
                request, fds, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, FDS_MAX)
                try:
                    answer = handle(json.loads(request), fds)
                except (LocalKubeError, OSError, LookupError) as error:
                    answer = {"error": str(error) or repr(error)}
                with contextlib.suppress(BrokenPipeError):  # whoever asked has ended
                    connection.send(json.dumps(answer).encode())
