package main

import (
	"encoding/json"
	"math/rand"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

func versionRows() (rows [][]any) {
	for _, v := range versions {
		row := []any{v, semver.IsValid(v), semver.Canonical(v), semver.Major(v), semver.MajorMinor(v), semver.Prerelease(v), semver.Build(v),
			module.CanonicalVersion(v), nil, nil, nil}
		if module.IsPseudoVersion(v) {
			if t, err := module.PseudoVersionTime(v); err == nil {
				row[8] = t.Format(time.RFC3339)
			}
			row[9], _ = module.PseudoVersionRev(v)
			if base, err := module.PseudoVersionBase(v); err == nil {
				row[10] = base
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// orderRows has the sorted versions in its first row, then a row for some of them: how it compares with all of those.
func orderRows() (rows [][]any) {
	r := rand.New(rand.NewSource(3))
	some := make([]string, 250)
	for i := range some {
		some[i] = versions[r.Intn(len(versions))]
	}
	semver.Sort(some)
	rows = append(rows, []any{some})
	for _, v := range some {
		var signs strings.Builder
		for _, w := range some {
			signs.WriteByte("-0+"[semver.Compare(v, w)+1])
		}
		rows = append(rows, []any{v, signs.String()})
	}
	return rows
}

func pathRows() (rows [][]any) {
	for _, path := range paths {
		prefix, major, ok := module.SplitPathVersion(path)
		rows = append(rows, []any{path, module.CheckPath(path) == nil, module.CheckImportPath(path) == nil, module.CheckFilePath(path) == nil,
			prefix, major, ok})
	}
	return rows
}

// checkRows has the versions in its first row, then for each path whether module.Check and CheckPathMajor take each.
func checkRows() (rows [][]any) {
	rows = append(rows, []any{versions})
	for _, path := range modulePaths {
		_, major, ok := module.SplitPathVersion(path)
		var check, majors strings.Builder
		for _, v := range versions {
			check.WriteByte(bit(module.Check(path, v) == nil))
			majors.WriteByte(bit(ok && module.CheckPathMajor(v, major) == nil))
		}
		rows = append(rows, []any{path, check.String(), majors.String()})
	}
	return rows
}

func escapeRows() (rows [][]any) {
	texts := unique(
		[]string{"!", "!!", "!a", "!!a", "!A", "a!", "!1", "!é", "a!b!c", "example.com/!m", "example.com/M", "v1.0.0-!r!c1", "v1.0.0-!R", "a/b", "%21a"},
		modulePaths, cross([]string{"example.com/"}, elements), elements, versions[:120],
		random(4, 800, 8, []string{"a", "B", "!", "!a", "!!", "!B", "1", "/", "x.y/", "é", ".", "v1.0.0-", " ", "com1"}),
	)
	for _, text := range texts {
		rows = append(rows, []any{text, text2(module.EscapePath(text)), text2(module.UnescapePath(text)), text2(module.EscapeVersion(text)),
			text2(module.UnescapeVersion(text))})
	}
	return rows
}

func bit(is bool) byte {
	if is {
		return '1'
	}
	return '0'
}

// text2 is null for an error.
func text2(text string, err error) any {
	if err != nil {
		return nil
	}
	return text
}

func patternRows() (rows [][]any) {
	globs := unique(
		[]string{
			"", ",", "/", "//", "a/", "a//", "*", "**", "*/", "*/*", "?", "[a]", "[^a]", "[!a]", "[a-c]", "[c-a]", "[]a]", "[a", "[", "]", "\\", "\\a", "\\*", "[\\]]",
			"[a-]", "[-a]", "[^]", "[^^]", "a,b", " a", "a ", "a, b", ",,a,,", "*.corp.example.com,rsc.io/private", "github.com/acme/*", "github.com/acme",
			"github.com/Acme", "GitHub.com/*", "*.com", "git*.com/*/x", "[a-z]*.com", "[^/]*", "a[/]b", "[/]", "*[^x]y", "a*b*c", "*a*", "none", "a/[", "a/b,[", "[,a",
			"[a,b]", "é", "[é]", "?.com", "github.com/acme/", "github.com/acme//", "*a/*", "a**b", "[a-b-c]", "[a\\-c]", "\\[a]", "a\\", "[[]", "[]]",
		},
		random(5, 1500, 8, []string{"a", "b", "/", "*", "?", "[", "]", "^", "-", "\\", "ab", "[ab]", "[^a]", "[^b]*", ",", "[a-b]", "[/]"}),
	)
	targets := []string{"", "a", "b", "c", "a/b", "a/b/c", "ab", "aab/b", "abab", "ba/ab/a", "a/", "/a", "*", "[", "]", "\\", "-", "^", " a", "a b", "github.com/acme/x",
		"github.com/acme", "github.com/Acme/x", "sub.corp.example.com/m", "corp.example.com", "rsc.io/private/v2", "rsc.io/privatex", "aXbYc", "x.com", "a-c"}
	for _, glob := range globs {
		var matched strings.Builder
		for _, target := range targets {
			matched.WriteByte(bit(module.MatchPrefixPatterns(glob, target)))
		}
		rows = append(rows, []any{glob, matched.String()})
	}
	return append([][]any{{targets}}, rows...)
}

// unicodeRows: the version of Unicode, the ranges of letters [low, high, …], the spaces, what folds to ASCII letters.
func unicodeRows() [][]any {
	var letters, spaces, folds []any
	inside := false
	for r := rune(0); r <= unicode.MaxRune+1; r++ {
		if is := unicode.IsLetter(r); is != inside {
			inside = is
			letters = append(letters, r)
		}
		if unicode.IsSpace(r) {
			spaces = append(spaces, r)
		}
		for f := unicode.SimpleFold(r); r > unicode.MaxASCII && f != r; f = unicode.SimpleFold(f) {
			if f <= unicode.MaxASCII && unicode.IsLower(f) {
				folds = append(folds, []any{r, string(f)})
			}
		}
	}
	return [][]any{{unicode.Version}, letters, spaces, folds}
}

// An info is cmd/go's modfetch.RevInfo.
type info struct {
	Version string
	Time    time.Time
	Origin  *struct {
		VCS, URL, Subdir, Hash, TagPrefix, TagSum, Ref, RepoSum string
	}
}

func infoRows() (rows [][]any) {
	for _, text := range infos {
		var v info
		err := json.Unmarshal([]byte(text), &v)
		row := []any{text, err == nil, v.Version, nil}
		if err == nil && !v.Time.IsZero() && v.Time.UTC().Year() < 10000 && v.Time.UTC().Year() >= 0 {
			row[3] = v.Time.UTC().Truncate(time.Second).Format(time.RFC3339)
		}
		rows = append(rows, row)
	}
	return rows
}
