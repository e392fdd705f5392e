package main

import "strings"

var times = []string{
	"2019-01-01T00:00:00Z", "2019-01-01T00:00:00.123456789Z", "2019-01-01T00:00:00.Z", "2019-01-01T00:00:00,5Z", "2019-01-01T00:00:00+02:00",
	"2019-01-01T00:00:00-23:59", "2019-01-01T00:00:00+24:00", "2019-01-01T00:00:00+02", "2019-01-01T00:00:00+0200", "2019-01-01T00:00:00", "2019-01-01",
	"2019-01-01 00:00:00Z", "2019-01-01t00:00:00z", "2019-02-29T00:00:00Z", "2020-02-29T00:00:00Z", "2019-13-01T00:00:00Z", "2019-00-01T00:00:00Z",
	"2019-01-32T00:00:00Z", "2019-01-01T24:00:00Z", "2019-01-01T23:60:00Z", "2019-01-01T23:59:60Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
	"9999-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "10000-01-01T00:00:00Z", "2019-1-1T0:0:0Z", "2019-01-01T1:00:00Z", "", "now", " 2019-01-01T00:00:00Z",
	"2019-01-01T00:00:00Z\\n", "\u0662019-01-01T00:00:00Z", "2019-01-01T00:00:00.1234567890123456789Z", "2100-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
}

var infos = func() []string {
	out := []string{
		`{}`, `{"Version":"v1.0.0"}`, `{"version":"v1.0.0"}`, `{"VERSION":"v1.0.0"}`, `{"Ver\u017fion":"v1.0.0"}`, `{"Verſion":"v1.0.0"}`,
		`{"Version":"v1.0.0","Version":"v2.0.0"}`, `{"Version":"v1.0.0","version":"v2.0.0"}`, `{"Version":null}`, `{"Version":1}`, `{"Version":["v1.0.0"]}`,
		`{"Version":"v1.0.0","Time":null}`, `{"Version":"v1.0.0","Time":0}`, `{"Version":"v1.0.0","Time":{}}`, `{"Version":"v1.0.0","Origin":null}`,
		`{"Version":"v1.0.0","Origin":{}}`, `{"Version":"v1.0.0","Origin":[]}`, `{"Version":"v1.0.0","Origin":"x"}`, `{"Version":"v1.0.0","Origin":{"VCS":1}}`,
		`{"Version":"v1.0.0","Origin":{"VCS":"git","URL":"https://x.y/z","Hash":"abc","Ref":"refs/tags/v1.0.0"}}`, `{"Version":"v1.0.0","Origin":{"vcs":null}}`,
		`{"Version":"v1.0.0","Origin":{"New":{"a":[1,2,{}]}}}`, `{"Version":"v1.0.0","Name":"abc","Short":"abc"}`, `{"Version":"v1.0.0","Other":NaN}`,
		`{"Version":"v1.0.0","Other":Infinity}`, `{"Version":"v1.0.0","Other":1e999}`, `{"Version":"v1.0.0","Other":` + long + `}`, `{"Version":"v1.0.0",}`,
		`{"Version":"v1.0.0"} `, `{"Version":"v1.0.0"}x`, `{"Version":"v1.0.0"}{}`, "\ufeff" + `{"Version":"v1.0.0"}`, ` {"Version" : "v1.0.0" } `, `[]`, `null`, `"v1.0.0"`, ``, `1`,
		`{'Version':'v1.0.0'}`, `{"Version":"v1.0.0\n"}`, "{\"Version\":\"v1.0.0\n\"}", `{"Version":"\ud800"}`, `{"Version":"v1.0.0","Other":"\ud800"}`,
		`{"Version":"v1.0.0","Other":01}`, `{"Version":"v1.0.0","Other":+1}`, `{"Version":"v1.0.0","Other":.5}`, `{"Version":"v1.0.0","Other":1.}`, `{"Version":"\x"}`,
		`{"Version":"v1.0.0" "Time":""}`, `{"Version":"v1.0.0","Other":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, `<html>`, `not found: v1`,
		"{\"Version\":\"v1.0.0\"\x00}", `{"Version":"v1.0.0","Other":"` + "\x7f" + `"}`, `{"Version":"v1.0.0","Other":tru}`, "{\"Version\":\"v1.0.0\"\u00a0}",
	}
	for _, t := range times {
		out = append(out, `{"Version":"v1.0.0","Time":"`+t+`"}`)
	}
	return out
}()

var goMods = unique([]string{
	"", "\n\n", "module example.com/m", "module example.com/m\n", "module\n", "module a b\n", "module a\nmodule b\n", "module \"example.com/m\"\n", "module `example.com/m`\n",
	"module \"example.com\\x2fm\"\n", "module \"a\\u00e9\\101\\n\\t\\\\\\\"\"\n", "module \"a\\'\"\n", "module \"\\ud800\"\n", "module \"\\400\"\n", "module \"\\q\"\n", "module \"a\n",
	"module example.com/m // c\n", "module example.com/m//c\n", "module ( example.com/m )\n", "module (\nexample.com/m\n)\n", "module ()\n", "// only\n", "/* c */\nmodule m\n",
	"module m /* c */\n", "module m/*c*/\n", "module a\"b\n", "module 'a'\n", "module a'b\n", "module \t m \r\n", "\ufeffmodule m\n", "module m\u00a0\n", "module é\n", "module \x01\n",
	"module m\ngo 1.21\n", "go 1.21.0\n", "go 1.21rc1\n", "go 1\n", "go 1.21 2\n", "go 1.21\ngo 1.22\n", "go v1.21\n", "go 1.21.x\n", "go 1.021\n", "go (\n1.21\n)\n", "go \"1.21\"\n",
	"go 1.21.0-custom\n", "go 01.2\n", "toolchain go1.22.1\n", "toolchain default\ntoolchain go1.22.1\n", "toolchain x\n",
	"require a.b/c v1.0.0\n", "require a.b/c v1\n", "require a.b/c v1.0.0+meta\n", "require a.b/c v2.0.0\n", "require a.b/c v2.0.0+incompatible\n", "require a.b/c/v2 v2.0.0\n",
	"require a.b/c/v2 v1.0.0\n", "require a.b/c/v1 v1.0.0\n", "require c v0.0.0\n", "require c v2.0.0\n", "require c/v2 v1.0.0\n", "require a.b/c master\n", "require a.b/c\n", "require a.b/c v1.0.0 x\n", "require a.b/c v1.0.0 // indirect\n",
	"require (\n\ta.b/c v1.0.0\n\tx.y/z v1.2.3-0.20191109021931-daa7c04131f5 // indirect\n\n\t// comment\n)\n", "require (a.b/c v1.0.0)\n", "require (\n) x\n", "require (\na.b/c v1.0.0\n",
	"require (\n\ta.b/c v1.0.0\n) // end\n", "require ( // begin\n\ta.b/c v1.0.0\n)\n", "require x (\na.b/c v1.0.0\n)\n", "require ( )\n", "require (\n(\n)\n)\n", "require \"a.b/c\" \"v1.0.0\"\n",
	"require (\n\"a.b/c\" v1.0.0\n)\n", "require gopkg.in/yaml.v2 v2.2.1\n", "require gopkg.in/yaml.v2 v1.0.0\n", "require gopkg.in/yaml v1.0.0\n", "require gopkg.in/check.v1 v0.0.0-20161208181325-20d25e280405\n",
	"require Com1.x/y v1.0.0\n", "require a.b/c v1.0.0\nrequire a.b/c v1.1.0\n", "require \"\" v1.0.0\n", "require ../x v1.0.0\n", ")\n", "(\n", "( )\n", "a ( ) b\n", "unknown x y\n", "unknown (\nx\n)\n", "unknown (\n",
	"replace a => b\n", "replace a.b/c => ../c\n", "exclude a.b/c v1.0.0\n", "exclude a\n", "retract v1.0.0\n", "retract [v1.0.0, v1.1.0] // why\n", "retract (\n[v1, v2]\nx\n)\n", "retract\n",
	"tool x\n", "godebug a=b\n", "module m\nrequire a.b/c v1.0.0", "module m\r\nrequire (\r\n\ta.b/c v1.0.0\r\n)\r\n", "module m ;\n", "module [m]\n", "module m,\n", "require {\n}\n", "\"module\" m\n",
	"require\ta.b/c\tv1.0.0\t//x\n", "require a.b/c v1.0.0 )\n", "require (\na.b/c v1.0.0 )\n", "require (\na.b/c v1.0.0\n)require d.e/f v1.0.0\n", "module m\n\v\n", "module m\x00\n", "module \"m\" \"n\"\n", "module \"m\"n\n",
}, random(6, 600, 14, []string{"require", "module", "go", " ", " ", "\n", "\n", "(", ")", "a.b/c", "c.d/e/v2", "v1.0.0", "v2.0.0", "1.21", "//", "\"", "\"a.b/c\"", "\t", "\r\n", "replace", "=>", "./x", ",", "["}))

var goproxies = []string{
	"", " ", ",", "|", ", |", "direct", "off", "https://x.example", "http://x.example/p", "file:///srv/p", "file://srv/p", "file:/srv/p", "file:///a?b", "file:///a#b", "file:///a#", "file://u@/a",
	"file:///a%20b", "file:///a%2", "x.example", "x.example/path", "x.example:8080", "localhost", "localhost:3000", "localhost/x", "noproxy", "x", "/srv/p", "./p", "../p", "ftp://x.example",
	"https:x.example", "HTTPS://x.example", "https://u:p@x.example", "https://u@x.example", "https://u:p@q@x.example", "https://a b.example", "https://x.example/a b", "https://x.example/%zz", "https://x%.example",
	"https://x.example:port", "https://x.example:", "https://x.example:80:90", "https://[::1]:80/p", "https://[::1", "https://::1/", "https://[1.2.3.4]/", "https://x.example?q=1", "https://x.example#f", "direct,ftp://x",
	"https://x.example,ftp://y", "https://x.example|y.example,direct", "\thttps://x.example\u00a0", "https://x.example\u200b", "https://é.example", "https://u%zz@x.example", "https://u{@x.example", "Direct", "OFF", "C:\\p", "C:/p",
	"https://x.example\x01", "https://x.example/\x01", "https://x.example/\x7f", "file:///\x1f", "https://x_y.example", "https://x.example/!a", "https://x.example,,|direct", "://x", ":x", "a:b", "a:/b", "https://x\"y.example",
}

var gosumdbs = []string{
	"", "off", " off", "sum.golang.org", "sum.golang.google.cn", " sum.golang.google.cn", "sum.golang.org https://x.example", "sum.golang.org  x", "sum.golang.org a b", "other.example", "sum.golang.org+033de0ae",
	"sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "sum.golang.org+133de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	"sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8=", "sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "sum.golang.org+033de0ae+", "+033de0ae+AAAA", "SUM.golang.org",
	"KEY:db.example", "KEY:db.example/a/b", "KEY:db.example:8080", "KEY:db.example/", "KEY:/db.example", "KEY:db.example?q", "KEY:u@db.example", "KEY:db.example/a%20b", "KEY:db.example#f", "KEY:db example", "KEY:localhost",
	"KEY:db.example https://x.example/p", "KEY2:db.example", "KEY:db.example\u00a0x",
}
