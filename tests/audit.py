"""`make audit`: licences of what `pip install .` brings, and its known vulnerabilities.

A licence that is not among LICENCES is an error; a vulnerability is one with --strict, since it may
be published any day. Without a network the second part says so, and nothing fails.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

# Words of licences that a server under MIT may be installed with.
LICENCES = re.compile(
    r"\b(MIT|MIT-CMU|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|HPND|0BSD|Unlicense)\b", re.I
)
REQUIRED = re.compile(r"^([A-Za-z0-9._-]+)\s*(.*)$")
TIMEOUT_S = 90


def installed(name: str = "jobserver", seen: set[str] | None = None) -> Iterator[Distribution]:
    """Yield what a package needs, without extras, each once."""
    seen = set() if seen is None else seen
    try:
        found = distribution(name)
    except PackageNotFoundError:  # of another system, as its marker says
        return
    for requirement in found.requires or ():
        needed = REQUIRED.match(requirement)
        if needed is None or "extra ==" in requirement:
            continue
        key = re.sub(r"[._-]+", "-", needed[1]).lower()
        if key not in seen:
            seen.add(key)
            with_it = list(installed(key, seen))
            try:
                yield distribution(key)
            except PackageNotFoundError:
                continue
            yield from with_it


def licence(package: Distribution) -> str:
    """Return what a package says of its licence, in a few words."""
    about = package.metadata
    said = [about.get("License-Expression"), *(about.get_all("Classifier") or ())]
    named = [text.split(" :: ")[-1] for text in said if text and "Classifier" not in text]
    chosen = [text for text in named if text in (said[0],) or "License" in text or "MIT" in text]
    texts = chosen or [(about.get("License") or "unknown").splitlines()[0]]
    return "; ".join(dict.fromkeys(texts))


def vulnerabilities(packages: list[Distribution]) -> tuple[int, str]:
    """Ask for known ones. Return pip-audit's exit code, 0 for none, and what it says."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{each.name}=={each.version}\n" for each in packages)
        file.flush()
        words = ["-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        command = [sys.executable, *words, "--requirement", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.returncode, (done.stdout + done.stderr).strip()


def main() -> None:
    """Print both lists."""
    packages = sorted(installed(), key=lambda each: each.name.lower())
    for each in packages:
        print(f"{each.name:24} {each.version:12} {licence(each)}")
    unknown = [each.name for each in packages if not LICENCES.search(licence(each))]
    if unknown:
        sys.exit(f"licences to look at: {', '.join(unknown)}")
    try:
        status, words = vulnerabilities(packages)
    except subprocess.TimeoutExpired:
        status, words = 1, "Connection timed out"
    if status and not re.search(r"found \d+ known vulnerabilit", words, re.I):
        print("offline, or nobody answered: vulnerabilities were not looked for")
        return
    print(words)
    if missing := words.count("could not be audited"):
        print(f"{missing} of {len(packages)} packages are not known where was looked")
    if status and "--strict" in sys.argv:
        sys.exit(1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
