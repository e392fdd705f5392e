// Govectors asks Go's own packages how they read thousands of good and bad inputs, and writes the answers as JSON for
// the tests in the directory above. Run it as
//
//	go run . ../vectors
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: govectors DIRECTORY")
	}
	for name, rows := range map[string][][]any{
		"versions": versionRows(),
		"order":    orderRows(),
		"paths":    pathRows(),
		"checks":   checkRows(),
		"escapes":  escapeRows(),
		"patterns": patternRows(),
		"unicode":  unicodeRows(),
		"infos":    infoRows(),
		"modfiles": modfileRows(),
		"goproxy":  goproxyRows(),
		"gosumdb":  gosumdbRows(),
	} {
		write(filepath.Join(os.Args[1], name+".json"), rows)
	}
}

// write puts one row on each line, so that a changed answer is one changed line.
func write(name string, rows [][]any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for i, row := range rows {
		out.WriteByte("[,"[min(i, 1)])
		if err := encoder.Encode(row); err != nil {
			log.Fatal(err)
		}
	}
	out.WriteString("]\n")
	if err := os.WriteFile(name, out.Bytes(), 0o666); err != nil {
		log.Fatal(err)
	}
}
