"""Checks an export with the standard library and pymerkle.

Every line is what writing the parsed line again gives, every disclosure hashes to a digest in its line, and the root that
pymerkle computes is the one in the checkpoint. Usage: check.py DIR
"""

import base64
import hashlib
import json
import pathlib
import sys

import pymerkle


def odd(value):
    raise ValueError(f"{value} has no place in a line")


def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def main():
    where = pathlib.Path(sys.argv[1])
    lines = (where / "log.jsonl").read_bytes().split(b"\n")[:-1]
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    digests = []
    for index, line in enumerate(lines):
        entry = json.loads(line, parse_float=odd, parse_constant=odd, object_pairs_hook=members)
        again = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        if again != line or entry["v"] != 1 or entry["seq"] != index:
            sys.exit(f"entry {index} is not canonical")
        digests.append(set(entry.get("_sd", [])))
        tree.append_entry(line)
    _, size, root = (where / "checkpoint").read_text().split("\n")[:3]
    if int(size) != len(lines) or base64.b64decode(root) != tree.get_root():
        sys.exit("the root is not the signed one")
    clear = where / "disclosures.jsonl"
    for line in clear.read_text().splitlines() if clear.exists() else []:
        one = json.loads(line)
        digest = base64.urlsafe_b64encode(hashlib.sha256(one["disclosure"].encode()).digest()).rstrip(b"=").decode()
        if digest not in digests[one["seq"]]:
            sys.exit(f"a disclosure of entry {one['seq']} is not the one in its line")
    print(len(lines), root)


main()
