"""Who may read what is made here, whatever the umask says.

Uploads and the database are the server's alone. Outputs may be read by one group, nginx's
when it sends them (OUTPUT_GROUP).
"""

import os
from pathlib import Path

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
SHARED_FILE, SHARED_FOLDER = 0o640, 0o750


def make_folder(folder: Path, group: int | None = None, *, shared: bool) -> None:
    """Make one folder unless it is there. Raises OSError.

    group: the id of the group that may enter a shared one; None: the process's own.
    """
    try:
        folder.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    if shared:
        share(folder, SHARED_FOLDER, group)


def share(path: Path, mode: int, group: int | None) -> None:
    """Let the group at a file or folder. Raises OSError; PermissionError to who is not in it."""
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(mode)


def create_private(path: Path, content: str = "") -> None:
    """Create a file that nobody else may read. Raises OSError, FileExistsError too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, PRIVATE_FILE), "w", encoding="utf-8") as file:
        file.write(content)


def exclude_others(path: Path) -> None:
    """Take from everybody but owner and group what they may do with a file, if it is ours."""
    mode = path.stat().st_mode & 0o7777
    if mode & 0o007 and path.stat().st_uid == os.geteuid():
        path.chmod(mode & ~0o007)
