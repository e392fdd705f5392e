package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

func modfileRows() (rows [][]any) {
	for _, text := range goMods {
		row := []any{text, nil, nil, nil}
		if f, err := modfile.ParseLax("go.mod", []byte(text), nil); err == nil {
			requires := []string{}
			for _, r := range f.Require {
				requires = append(requires, r.Mod.Path+" "+r.Mod.Version)
			}
			row[3] = requires
			if f.Module != nil {
				row[1] = f.Module.Mod.Path
			}
			if f.Go != nil {
				row[2] = f.Go.Version
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// ask runs the go command with these settings in a directory where a file:// proxy answers, and returns what it says.
func ask(environment []string, arguments ...string) string {
	dir, err := os.MkdirTemp("", "govectors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "proxy", "example.com", "m", "@v")
	if err := os.MkdirAll(at, 0o777); err != nil {
		log.Fatal(err)
	}
	for name, text := range map[string]string{"list": "v1.0.0\n", "v1.0.0.info": `{"Version":"v1.0.0"}`, "v1.0.0.mod": "module example.com/m\n"} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o666); err != nil {
			log.Fatal(err)
		}
	}
	cmd := exec.Command("go", arguments...)
	cmd.Dir = dir
	// Nothing leaves this machine: what is not answered by the file:// proxy goes to a port where nobody listens.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GOENV=off", "GOTOOLCHAIN=local", "GOFLAGS=-modcacherw", "GOTELEMETRY=off",
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "GOSUMDB=off"}, environment...)
	for i, e := range cmd.Env {
		cmd.Env[i] = strings.ReplaceAll(e, "DIR", dir)
	}
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// goproxyRows: whether the go command takes the list. A first entry that has the answer keeps it from asking others.
func goproxyRows() (rows [][]any) {
	for _, text := range goproxies {
		if strings.ContainsAny(text, "\x00") {
			continue
		}
		out := ask([]string{"GOPROXY=file://DIR/proxy," + text}, "list", "-m", "-versions", "example.com/m")
		rows = append(rows, []any{text, strings.TrimSpace(out) == "example.com/m v1.0.0"})
	}
	return rows
}

// gosumdbRows: the setting, and whether the go command takes it. It then fails to reach the database.
func gosumdbRows() (rows [][]any) {
	for _, text := range gosumdbs {
		if rest, ok := strings.CutPrefix(text, "KEY:"); ok {
			name, url, spaced := strings.Cut(rest, " https://")
			text = key(name, 1)
			if spaced {
				text += " https://" + url
			}
		} else if rest, ok := strings.CutPrefix(text, "KEY2:"); ok {
			text = key(rest, 2)
		}
		if text == "" {
			continue // go then takes its default
		}
		out := ask([]string{"GOPROXY=file://DIR/proxy", "GOSUMDB=" + text}, "mod", "download", "example.com/m@v1.0.0")
		refused := strings.Contains(out, "GOSUMDB") || strings.Contains(out, "invalid sumdb name")
		rows = append(rows, []any{text, !refused})
	}
	return rows
}

// key makes a verifier key of this name and algorithm.
func key(name string, algorithm byte) string {
	public := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	encoded := append([]byte{algorithm}, public...)
	hash := sha256.Sum256(append([]byte(name+"\n"), encoded...))
	return fmt.Sprintf("%s+%x+%s", name, hash[:4], base64.StdEncoding.EncodeToString(encoded))
}
