package main

import (
	"math/rand"
	"strings"
)

// cross returns every concatenation of one text of each list.
func cross(lists ...[]string) []string {
	out := []string{""}
	for _, list := range lists {
		var next []string
		for _, head := range out {
			for _, tail := range list {
				next = append(next, head+tail)
			}
		}
		out = next
	}
	return out
}

// random returns n texts of at most max tokens, the same ones in every run.
func random(seed int64, n, max int, tokens []string) []string {
	r := rand.New(rand.NewSource(seed))
	out := make([]string, n)
	for i := range out {
		var text strings.Builder
		for range r.Intn(max + 1) {
			text.WriteString(tokens[r.Intn(len(tokens))])
		}
		out[i] = text.String()
	}
	return out
}

func unique(lists ...[]string) []string {
	seen := map[string]bool{}
	var out []string
	for _, list := range lists {
		for _, text := range list {
			if !seen[text] {
				seen[text] = true
				out = append(out, text)
			}
		}
	}
	return out
}

var long = strings.Repeat("9", 5000)

var versions = unique(
	[]string{
		"", "v", "v1", "v1.2", "v1.2.3", "1.2.3", "V1.2.3", "v01.2.3", "v1.02.3", "v1.2.03", "v1.2.3.4", "v1.", "v1.2.",
		"v1-pre", "v1.2-pre", "v1+meta", "v1.2+meta", "v1.2.3-", "v1.2.3+", "v1.2.3-+", "v1.2.3-.", "v1.2.3-a..b",
		"v1.2.3-01", "v1.2.3-0", "v1.2.3-00", "v1.2.3-0a", "v1.2.3-a.01", "v1.2.3+01", "v1.2.3+a..b", "v1.2.3+a+b",
		"v1.2.3 ", " v1.2.3", "v1.2.3\n", "v1.2.3-a b", "v1.2.3-ä", "v1.2.3-\u0661", "v\u0661.2.3", "v1.2.3-pre_1",
		"v1.2.3-RC1", "v1.2.3-!r!c1", "v0.0.1-go1.21.0.linux-amd64", "v2.0.0+incompatible", "v2.0.0-rc.1+incompatible",
		"v2+incompatible", "v1.2.3+incompatible.1", "v1.2.3-+incompatible", "master", "none", "latest", "go1.21.0",
		"v0.0.0-00010101000000-000000000000", "v0.0.0-99999999999999-abcdef123456", "v0.0.0-20190230120000-abcdef123456",
		"v0.0.0-20200229235959-abcdef123456", "v0.0.0-20190229235959-abcdef123456", "v0.0.0-20191231235960-abcdef123456",
		"v0.0.0-20191231240000-abcdef123456", "v0.0.0-00000101000000-abcdef123456",
		"v0.0.0-20191109021931-daa7c04131f5+incompatible", "v1.0.0-0.20191109021931-daa7c04131f5",
		"v2.0.1-0.20191109021931-daa7c04131f5+incompatible", "v2.0.1-rc.0.20191109021931-daa7c04131f5+incompatible",
		"v1.0.10-0.20191109021931-daa7c04131f5", "v1.0.100-0.20191109021931-daa7c04131f5",
		"v1.0.110-0.20191109021931-daa7c04131f5", "v1.0.20-0.20191109021931-daa7c04131f5",
		"v1.0.0-0-20191109021931-daa7c04131f5", "v1.0.0.20191109021931-daa7c04131f5", "v1.0.0-20191109021931-0.20191109021931-x",
		"v1.0.0-20191109021931-daa7-c04131f5", "v1.0.0-2019110902193-daa7c04131f5", "v1.0.0-20191109021931-daa7c04131f5.1",
		"v1.2.3-20191109021931-daa7c04131f5", "v1.2.3-pre-0.20191109021931-daa7c04131f5", "v1.2.3-0-0.20191109021931-daa7c04131f5",
		"v1.2.3-pre.0.20191109021931-DAA7C04131F5", "v1.2.3-pre.1.20191109021931-daa7c04131f5", "v1.0-0.20191109021931-daa7c04131f5",
		"v1.2.3-a.0.20191109021931-b.0.20191109021931-daa7c04131f5", "v10.0.0-20191109021931-daa7c04131f5",
		"v" + long[:60] + ".0.0", "v1.2." + long[:60] + "-0.20191109021931-daa7c04131f5",
		"v1.2.1" + strings.Repeat("0", 60) + "-0.20191109021931-daa7c04131f5", "v1.2.3-" + long[:60],
	},
	cross([]string{"v0", "v2", "v10"}, []string{".0", ".9"}, []string{".0", ".1", ".10"},
		[]string{"", "-0", "-1", "-2", "-10", "-a", "-a.1", "-a.b", "-a-b", "-rc.1", "-rc.2", "-rc.10", "-RC1", "--", "-pre.0"},
		[]string{"", "+incompatible", "+meta.1"}),
	cross([]string{"v0.0.0", "v1.0.0", "v1.0.1", "v2.0.0"},
		[]string{"-", "-0.", "-pre.0.", "-pre.0", "-pre-0.", "-1.", "-0.0.", "."},
		[]string{"20191109021931", "20191309021931", "2019110902193"},
		[]string{"-daa7c04131f5", "-DAA7", "-", "", "-a.b"},
		[]string{"", "+incompatible", "+x"}),
	random(1, 400, 12, []string{"v", "0", "1", "2", "10", "01", ".", ".", ".", "-", "+", "a", "Z", "0", "-0.", "20191109021931", "é"}),
)

var elements = []string{
	"", ".", "..", "...", "a", "A", "a.b", ".a", "a.", "a..b", "-a", "a-", "_", "~", "a~", "a~1", "a~12", "a~1x", "a~1.txt", "~1", "a~x~1",
	"a.b~1", "CON", "con", "Con.txt", "con.", "cOn.a.b", "xcon", "con1", "com0", "com1", "COM9.x", "com10", "lpt1", "LPT0", "NUL", "aux", "prn.c",
	"a b", " ", "a+b", "a!b", "a#b", "a$b", "a%20b", "a&b", "a'b", "a(b)", "a*b", "a,b", "a:b", "a;b", "a<b", "a=b", "a>b", "a?b", "a@b", "a[b]",
	"a\\b", "a^b", "a`b", "a{b}", "a|b", "a\"b", "a\x00b", "a\nb", "a\x7fb", "é", "É", "日本", "ß", "K", "ſ", "ª", "²", "½", "\u0301", "e\u0301",
	"€", "\u00a0", "\u200b", "\u2028", "\ufeff", "\ufffd", "😀", "𝒜", "𠀀", "\u0660", "Ⅷ", "ǅ", "ʰ", "v1", "v2", "v02", "v2.0", "v10", "v", "v0", "v1.2.3",
	"go.mod", "GO.MOD", "vendor", "LICENSE", "nul\u00e9", "ＣＯＮ", "cOM\u00b9",
}

var paths = unique(
	[]string{
		"", "/", "//", "a", "a.b", "a.b/", "/a.b", "a.b//c", "a.b/c/", "github.com/Azure/azure-sdk-for-go", "rsc.io/quote/v3", "rsc.io/quote/v1",
		"rsc.io/quote/v0", "rsc.io/quote/v02", "rsc.io/quote/v2.1", "rsc.io/quote/v2.", "rsc.io/quote/2", "rsc.io/quote/xv2", "rsc.io/v2",
		"rsc.io/v", "v2", "/v2", "x/v2", "golang.org/toolchain", "std", "cmd", "go", "toolchain", "-a.b/c", "a.b-/c", "-.b", ".b/c", "b./c", "b../c",
		"A.b/c", "a.B/c", "a_b.c/d", "a~b.c/d", "a+b.c/d", "localhost/x", "localhost:80/x", "a.b/c@v1", "a.b/C", "1.2.3.4/x", "xn--4ca.com/x", "é.com/x",
		"gopkg.in/yaml.v2", "gopkg.in/yaml.v0", "gopkg.in/yaml.v1", "gopkg.in/yaml.v02", "gopkg.in/yaml.v00", "gopkg.in/yaml", "gopkg.in/yaml/v2",
		"gopkg.in/yaml.v2-unstable", "gopkg.in/yaml.v2-Unstable", "gopkg.in/yaml.v0-unstable", "gopkg.in/yaml.v-unstable", "gopkg.in/yaml.v",
		"gopkg.in/user/pkg.v3", "gopkg.in/v2", "gopkg.in/.v2", "gopkg.in/yaml.v2/sub", "gopkg.in/yaml.v2.v3", "gopkg.in", "gopkg.in/", "Gopkg.in/yaml.v2",
		"gopkg.in/yaml.v2.1", "gopkg.in/yaml.v22", "gopkg.in/yamlv2", "gopkg.in/a.v2-unstable-unstable", "xgopkg.in/yaml.v2/v2", "gopkg.in/yaml.v²",
	},
	cross([]string{"example.com/", "example.com/m/", "x/"}, elements),
	elements,
	cross(elements, []string{"/x"}),
	cross([]string{"example.com/x", "gopkg.in/x", "github.com/a/b", "x.y"}, []string{"/v", ".v", "v", "/V", "/"},
		[]string{"", "0", "1", "2", "02", "10", "1.0", "2.", ".2", "2-unstable", "-unstable"}, []string{"", "/x"}),
	random(2, 500, 8, []string{"a", "B", ".", "/", "-", "_", "~", "1", "v2", "!", "+", "é", "com1", "gopkg.in/", "x.y/", " ", ".v3", "-unstable"}),
)

var modulePaths = []string{
	"example.com/m", "example.com/m/v2", "example.com/m/v10", "example.com/M", "gopkg.in/yaml.v0", "gopkg.in/yaml.v1", "gopkg.in/yaml.v2",
	"gopkg.in/yaml.v1-unstable", "gopkg.in/yaml.v2-unstable", "gopkg.in/yaml.v-unstable", "gopkg.in/yaml", "example.com/m/v1", "example", "golang.org/toolchain",
	"example.com/com1/v2", "gopkg.in/user/x.v10",
}
