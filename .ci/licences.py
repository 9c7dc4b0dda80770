#!/usr/bin/env python3
"""Checks every crate of the workspace's graph against deny.toml: its licence is allowed, its source is crates.io, and it is not banned.

No more than the standard library; runs from Python 3.8 on, which has no TOML: the few lines that are read are found by pattern.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def rules():
    """Targets, allowed licences and banned crates, as deny.toml has them."""
    text = (ROOT / "deny.toml").read_text(encoding="utf-8")

    def listed(key):
        found = re.search(rf"^{key} = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
        return re.findall(r'^ +"([^"]+)"', found.group(1), re.MULTILINE) if found else []

    banned = re.findall(r'\{ crate = "([^"]+)"', text)
    targets, allowed = listed("targets"), listed("allow")
    if not (targets and allowed and banned):
        sys.exit("deny.toml: targets, licences or banned crates were not found: has its layout changed?")
    return targets, set(allowed), set(banned)


def packages(targets):
    """Name, licence and source of every package that some target builds, tests and build scripts included.

    From `cargo tree`, because `cargo metadata` also has what no feature asks for.
    """
    found = set()
    for target in targets:
        line = "cargo tree --locked --workspace --all-features --edges normal,build,dev --prefix none --format".split()
        line += ["{p}\t{l}", "--target", target]
        tree = subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        for row in tree.splitlines():
            package, _, licence = row.partition("\t")
            # `syn v3.0.9`, `serde_derive v1.0.229 (proc-macro)`, `loafer v0.1.0 (/here)`, `x v1.0.0 (https://…)`.
            if match := re.match(r"(\S+) v(\S+)((?: \([^)]*\))*)", package):
                sources = re.findall(r"\(([^)]*)\)", match.group(3))
                foreign = [s for s in sources if s not in ("proc-macro", "*") and not s.startswith(str(ROOT))]
                found.add((f"{match.group(1)} {match.group(2)}", licence.replace(" (*)", ""), " ".join(foreign)))
    return sorted(found)


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with these licences; `/` is the old `OR`. A `WITH` makes another licence."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def peek():
        return words[place] if place < len(words) else None

    def take():
        nonlocal place
        place += 1
        return words[place - 1]

    def either():
        met = both()
        while peek() == "OR":
            take()
            met = both() or met
        return met

    def both():
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def one():
        if peek() is None:
            return False
        word = take()
        if word == "(":
            met = either()
            if peek() == ")":
                take()
            return met
        if peek() == "WITH":
            take()
            word = f"{word} WITH {take()}"
        return word in allowed

    return either() and place == len(words)


def main():
    targets, allowed, banned = rules()
    found, faults = packages(targets), []
    for name, licence, source in found:
        crate = name.split()[0]
        if crate in banned:
            faults.append(f"{name}: banned; `cargo tree --workspace --all-features --target all -i {crate}` says who wants it")
        if not is_allowed(licence, allowed):
            faults.append(f"{name}: the licence `{licence or 'none'}` is not allowed")
        if source:
            faults.append(f"{name}: comes from {source}")
    for fault in sorted(faults):
        print(fault)
    print(f"{len(found)} crates, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
