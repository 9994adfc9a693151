"""What can go wrong. `str(error)` is one plain sentence."""


class ClientError(Exception):
    """Base of every error of the client."""


class ApiError(ClientError):
    """The server refuses. status: of HTTP. code: for programs, or None of an older server."""

    def __init__(self, sentence: str, status: int, code: str | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


class NotSignedIn(ApiError):
    """Nobody is signed in, or no longer: 401."""


class ServerUnavailable(ClientError):
    """The server cannot be reached, or cannot serve at the moment, and repeating did not help."""


class Damaged(ClientError):
    """What was downloaded does not have the SHA-256 that the server says."""


class LocalProblem(ClientError):
    """A file here that cannot be read, or that would be overwritten."""
