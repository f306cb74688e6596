// Checks a public copy with Go's own module-log packages: the signature by sumdb/note; the root, every tile, every entry against
// its tile, inclusion proofs (of every entry; of every 64th where there are thousands) and the consistency with an older head by
// sumdb/tlog.
//
// Usage: check DIR VERIFIER-KEY [OLDER-CHECKPOINT ITS-VERIFIER-KEY]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// head opens a signed checkpoint.
func head(path, vkey string) tlog.Tree {
	text, err := os.ReadFile(path)
	fail(err)
	verifier, err := note.NewVerifier(vkey)
	fail(err)
	signed, err := note.Open(text, note.VerifierList(verifier))
	fail(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		fail(fmt.Errorf("not a checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	fail(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	fail(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

type dir string

func (d dir) Height() int { return height }

// path is where C2SP tlog-tiles keeps a tile: Go's own path begins with the height.
func (d dir) path(t tlog.Tile) string {
	return filepath.Join(string(d), strings.Replace(t.Path(), "tile/8/data/", "tile/entries/", 1))
}

func (d dir) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		if len(data) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has the wrong size", path)
		}
		all = append(all, data)
	}
	return all, nil
}

func (d dir) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	d, vkey := dir(os.Args[1]), os.Args[2]
	tree := head(filepath.Join(string(d), "checkpoint"), vkey)
	reader := tlog.TileHashReader(tree, d)
	root, err := tlog.TreeHash(tree.N, reader)
	fail(err)
	if root != tree.Hash {
		fail(fmt.Errorf("the root is not the signed one"))
	}
	hashes, err := reader.ReadHashes(all(tree.N))
	fail(err)
	for n := int64(0); n*256 < tree.N; n++ {
		width := tree.N - n*256
		if width > 256 {
			width = 256
		}
		bundle, err := os.ReadFile(d.path(tlog.Tile{H: height, L: -1, N: n, W: int(width)}))
		fail(err)
		for i := n * 256; i < n*256+width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail(fmt.Errorf("bundle %d is short", n))
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2:end])
			bundle = bundle[end:]
			if hashes[tlog.StoredHashIndex(0, i)] != leaf {
				fail(fmt.Errorf("entry %d is not the one in its tile", i))
			}
			if tree.N > 4096 && i%64 != 0 && i != tree.N-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, i, reader)
			fail(err)
			fail(tlog.CheckRecord(proof, tree.N, tree.Hash, i, leaf))
		}
		if len(bundle) != 0 {
			fail(fmt.Errorf("bundle %d is long", n))
		}
	}
	if len(os.Args) > 3 {
		old := head(os.Args[3], os.Args[4])
		if old.N > tree.N {
			fail(fmt.Errorf("the log had %d entries and has %d", old.N, tree.N))
		}
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		fail(err)
		fail(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Println(tree.N, base64.StdEncoding.EncodeToString(tree.Hash[:]))
}

// all lists the stored indexes of every complete node.
func all(size int64) []int64 {
	count := tlog.StoredHashCount(size)
	indexes := make([]int64, count)
	for i := range indexes {
		indexes[i] = int64(i)
	}
	return indexes
}
