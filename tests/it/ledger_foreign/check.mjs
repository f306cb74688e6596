// Checks proofs with @sigstore/verify, the code with which npm checks the provenance of packages: the signature of the
// checkpoint and the inclusion of the entry. A file has one proof or many. Says a line of each file; fails if one of them is not
// right. Usage: check.mjs VERIFIER-KEY PROOFS...

import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.FOREIGN_MODULES + "/");
const { verifyCheckpoint } = require("@sigstore/verify/dist/tlog/checkpoint.js");
const { verifyMerkleInclusion } = require("@sigstore/verify/dist/tlog/merkle.js");

const [vkey, ...files] = process.argv.slice(2);
const [, name, encoded] = vkey.match(/^([^+]+)\+[0-9a-f]{8}\+(.*)$/);
const key = Buffer.from(encoded, "base64");
const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key.subarray(1)]);
const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
const logID = createHash("sha256").update(name + "\n").update(key).digest();

function check(text) {
  const [proof, ...rest] = text.split("\n\n");
  const [header, extra, index, ...hashes] = proof.split("\n");
  if (header !== "c2sp.org/tlog-proof@v1") throw new Error("not a proof");
  const entry = {
    canonicalizedBody: Buffer.from(extra.slice("extra ".length), "base64"),
    inclusionProof: {
      logIndex: index.slice("index ".length),
      hashes: hashes.map((hash) => Buffer.from(hash, "base64")),
      checkpoint: { envelope: rest.join("\n\n") },
    },
  };
  const checkpoint = verifyCheckpoint(entry, [{ logID, publicKey, baseURL: name }]);
  verifyMerkleInclusion(entry, checkpoint);
  if (checkpoint.origin !== name) throw new Error("another log");
  return checkpoint.logSize;
}

for (const file of files) {
  try {
    const sizes = readFileSync(file, "utf8").split(/^(?=c2sp\.org\/tlog-proof@v1$)/m).map(check);
    console.log(`${sizes.length} of ${sizes[0]}`);
  } catch (error) {
    console.log(`refused: ${error.message}`);
    process.exitCode = 1;
  }
}
