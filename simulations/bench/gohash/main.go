// Command gohash computes the h1 of module zips as golang.org/x/mod/sumdb/dirhash does: the baseline of the benchmarks.
//
// Reads one path a line on standard input and prints "SECONDS h1:…" for each. What dirhash.HashZip and Hash1 do is
// written out here over the same standard library, so that building this needs no network.
package main

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"time"
)

func main() {
	paths := bufio.NewScanner(os.Stdin)
	for paths.Scan() {
		start := time.Now()
		h1, err := hashZip(paths.Text())
		if err != nil {
			log.Fatalf("%s: %v", paths.Text(), err)
		}
		fmt.Printf("%.6f %s\n", time.Since(start).Seconds(), h1)
	}
}

func hashZip(path string) (string, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	files := make(map[string]*zip.File)
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
		files[file.Name] = file
	}
	slices.Sort(names)
	all := sha256.New()
	for _, name := range names {
		content, err := files[name].Open()
		if err != nil {
			return "", err
		}
		one := sha256.New()
		_, err = io.Copy(one, content)
		content.Close()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%x  %s\n", one.Sum(nil), name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(all.Sum(nil)), nil
}
