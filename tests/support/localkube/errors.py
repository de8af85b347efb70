"""What can go wrong with a local Kubernetes, named by what the caller can do about it."""


class LocalKubeError(Exception):
    """The root of this package's errors."""


class ToolsMissingError(LocalKubeError):
    """Something must be built or installed first; the message is the command."""


class DeadlineError(LocalKubeError):
    """A condition did not come true in time; the last value tells how far it was."""

    def __init__(self, what: str, deadline_s: float, last: object) -> None:
        super().__init__(f"{what}: not after {deadline_s:.0f} s; last seen: {last!r}")


class DaemonDiedError(LocalKubeError):
    """A program of the cluster ended by itself; the end of its log says why."""

    def __init__(self, name: str, status: int, log_tail: str) -> None:
        super().__init__(f"{name} ended with status {status}\n{log_tail}")


class CommandError(LocalKubeError):
    """A command was answered with a failure."""

    def __init__(self, command: str, status: int, output: str) -> None:
        super().__init__(f"{command}: status {status}\n{output}")
        self.status = status
        self.output = output


class ApiError(LocalKubeError):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class HubError(LocalKubeError):
    """The hub could not do what it was asked to do."""
