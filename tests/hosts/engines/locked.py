"""An Engine whose socket belongs to others."""

from __future__ import annotations

from typing import Self

from hosts import Difference
from hosts.engines import EngineImitation


class Locked(EngineImitation):
    """A socket without permission to write, as for a user outside the group docker."""

    name = "Docker Engine whose socket is not yours"
    refuses = dict.fromkeys(("dry run", "release", "reason"), "join the group docker")
    lacks = "No release works. tagger names the group whose members may use the socket."
    differences = (Difference("The socket refuses anyone who is not in its group.", "its documentation"),)

    def __enter__(self) -> Self:
        entered = super().__enter__()
        self.socket.chmod(0)
        return entered
