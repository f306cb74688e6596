"""Checks exports with the standard library and pymerkle.

Every line is what writing the parsed line again gives, every disclosure hashes to a digest in its line, and the root that
pymerkle computes is the one in the checkpoint. Says a line of each; fails if one of them is not right. Usage: check.py DIR...
"""

import base64
import hashlib
import json
import pathlib
import sys

import pymerkle


def odd(value):
    raise ValueError(f"{value} has no place in a line")


def whole(digits):
    number = int(digits)
    return number if abs(number) < 2**53 else odd(digits)


def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    if any(value is None for _, value in pairs):
        raise ValueError("null has no place in a line")
    return dict(pairs)


def check(where):
    lines = (where / "log.jsonl").read_bytes().split(b"\n")[:-1]
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    digests = []
    for index, line in enumerate(lines):
        entry = json.loads(line, parse_float=odd, parse_int=whole, parse_constant=odd, object_pairs_hook=members)
        again = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        if again != line or entry["v"] != 1 or entry["seq"] != index:
            raise ValueError(f"entry {index} is not canonical")
        digests.append(set(entry.get("_sd", [])))
        tree.append_entry(line)
    _, size, root = (where / "checkpoint").read_text().split("\n")[:3]
    if int(size) != len(lines) or base64.b64decode(root) != tree.get_root():
        raise ValueError("the root is not the signed one")
    clear = where / "disclosures.jsonl"
    for line in clear.read_text().splitlines() if clear.exists() else []:
        one = json.loads(line)
        digest = base64.urlsafe_b64encode(hashlib.sha256(one["disclosure"].encode()).digest()).rstrip(b"=").decode()
        if digest not in digests[one["seq"]]:
            raise ValueError(f"a disclosure of entry {one['seq']} is not the one in its line")
    return f"{len(lines)} {root}"


def main():
    right = True
    for where in sys.argv[1:]:
        try:
            print(check(pathlib.Path(where)))
        except Exception as refusal:  # Whatever it is, this one is not right.
            print("refused:", " ".join(str(refusal).split()))
            right = False
    sys.exit(0 if right else 1)


main()
