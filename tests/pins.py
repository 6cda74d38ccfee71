"""The requirements files, as what they pin."""

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def pins(file):
    """Return each package of the file, with its version and the systems and Pythons that it is for."""
    return [Requirement(line) for line, _ in entries(file)]


def entries(file):
    """Return each requirement of the file and the hashes of what may be installed for it."""
    text = (ROOT / file).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.match(r"\w", line)]
    return [(line.partition(" --hash")[0].strip(), frozenset(re.findall(r"--hash=(\S+)", line))) for line in lines]
