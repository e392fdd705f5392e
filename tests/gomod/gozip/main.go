// Gozip says what Go makes of module zips: for each file NAME.zip of the directory given, the h1 that
// dirhash.HashZip computes, and the tree that x/mod/zip.Unzip extracts, or why they refuse it.
//
//	go run . DIRECTORY MODULE VERSION >verdicts.json
//
// With "folds" alone: every code point that folds to others, and the smallest of those, as pairs in one list.
//
//	go run . folds >folds.json
//
// With "create" alone: a small module zip as x/mod/zip.Create writes it.
//
//	go run . create >created.zip
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

type verdict struct {
	H1        string `json:"h1"`        // empty if HashZip refuses
	HashError string `json:"hashError"` // its reason
	Tree      string `json:"tree"`      // SHA-256 over "hash  name\n" of what was extracted; empty if Unzip refuses
	TreeError string `json:"treeError"`
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "folds" {
		printFolds()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "create" {
		create()
		return
	}
	if len(os.Args) != 4 {
		log.Fatal("usage: gozip DIRECTORY MODULE VERSION")
	}
	names, err := filepath.Glob(filepath.Join(os.Args[1], "*.zip"))
	if err != nil {
		log.Fatal(err)
	}
	verdicts := make(map[string]verdict)
	for _, name := range names {
		verdicts[strings.TrimSuffix(filepath.Base(name), ".zip")] = judge(name, module.Version{Path: os.Args[2], Version: os.Args[3]})
	}
	out, err := json.MarshalIndent(verdicts, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", out)
}

func printFolds() {
	folds := []rune{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if unicode.SimpleFold(r) != r {
			folds = append(folds, r, least)
		}
	}
	out, err := json.Marshal(folds)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", out)
}

// A memFile is a file of the module that create zips.
type memFile struct {
	name    string
	content string
}

func (f memFile) Path() string                { return f.name }
func (f memFile) Lstat() (os.FileInfo, error) { return f, nil }
func (f memFile) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(f.content)), nil
}
func (f memFile) Name() string       { return filepath.Base(f.name) }
func (f memFile) Size() int64        { return int64(len(f.content)) }
func (f memFile) Mode() os.FileMode  { return 0644 }
func (f memFile) ModTime() time.Time { return time.Now() }
func (f memFile) IsDir() bool        { return false }
func (f memFile) Sys() any           { return nil }

func create() {
	files := []zip.File{
		memFile{"go.mod", "module example.com/m\n"},
		memFile{"sub/a.go", strings.Repeat("package sub\n", 100)},
		memFile{"empty", ""},
		memFile{"größe.go", "package m\n"},
		memFile{"backup~", "x"},
	}
	if err := zip.Create(os.Stdout, module.Version{Path: "example.com/m", Version: "v1.0.0"}, files); err != nil {
		log.Fatal(err)
	}
}

func judge(name string, mod module.Version) (v verdict) {
	h1, err := dirhash.HashZip(name, dirhash.Hash1)
	if err != nil {
		v.HashError = err.Error()
	} else {
		v.H1 = h1
	}
	dir, err := os.MkdirTemp("", "gozip")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := zip.Unzip(filepath.Join(dir, "tree"), mod, name); err != nil {
		reason := strings.ReplaceAll(err.Error(), dir, "")
		v.TreeError = strings.TrimPrefix(reason, "unzip "+name+": ")
		return v
	}
	v.Tree = tree(filepath.Join(dir, "tree"))
	return v
}

func tree(dir string) string {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(content), filepath.ToSlash(rel)))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	sort.Strings(lines)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
}
