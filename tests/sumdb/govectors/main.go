// Makes tests/sumdb/vectors/tlog.json: what golang.org/x/mod says about notes, tile paths and tree roots.
// Run in an empty module: go mod init vectors && go get golang.org/x/mod && go run . > tlog.json
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h[x]
	}
	return out, nil
}

func main() {
	skey, vkey, _ := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "sum.example.org/log")
	signer, err := note.NewSigner(skey)
	if err != nil {
		panic(err)
	}
	other, otherKey, _ := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{8}, 64)), "witness")
	witness, _ := note.NewSigner(other)

	roots := map[string]string{}
	tiles := map[string]string{}
	var stored hashes
	const n = 70000
	for i := int64(0); i < n; i++ {
		add, err := tlog.StoredHashes(i, []byte(fmt.Sprintf("record %d\n", i)), stored)
		if err != nil {
			panic(err)
		}
		stored = append(stored, add...)
		switch size := i + 1; size {
		case 1, 2, 3, 7, 255, 256, 257, 511, 512, 65535, 65536, 65537, 69999, n:
			root, _ := tlog.TreeHash(size, stored)
			roots[fmt.Sprint(size)] = root.String()
		}
	}
	for _, t := range []tlog.Tile{{8, 0, 0, 5}, {8, 0, 0, 256}, {8, 0, 272, 256}, {8, 0, 273, 112}, {8, 1, 0, 256}, {8, 1, 1, 17}, {8, 2, 0, 1}} {
		data, err := tlog.ReadTileData(t, stored)
		if err != nil {
			panic(err)
		}
		h := tlog.RecordHash(data)
		tiles[t.Path()] = base64.StdEncoding.EncodeToString(h[:])
	}
	paths := []string{}
	for _, t := range []tlog.Tile{{8, 0, 0, 1}, {8, 0, 999, 256}, {8, 0, 1000, 256}, {8, 3, 1234067, 5}, {8, 1, 999999999, 255}, {8, 7, 1, 256}} {
		paths = append(paths, t.Path())
	}
	root, _ := tlog.TreeHash(n, stored)
	text := string(tlog.FormatTree(tlog.Tree{N: n, Hash: root}))
	one, _ := note.Sign(&note.Note{Text: text}, signer)
	both, _ := note.Sign(&note.Note{Text: text + "an extra line\n"}, witness, signer)
	record, _ := tlog.FormatRecord(12, []byte("a v1 h1:x\n"))
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	e.Encode(map[string]any{"key": vkey, "witness": otherKey, "roots": roots, "tile_leaf_hashes": tiles,
		"paths": paths, "note": string(one), "note_with_witness": string(both), "record": string(record), "size": n})
}
