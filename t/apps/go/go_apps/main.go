// The apps of t/harness/language.py, and of test_go.py, in one library: the
// configuration is the name of the app, and what follows a colon its text.
package main

import (
	"fmt"
	"strings"

	"restyffi"
)

type factory = func(text string) (restyffi.Handler, error)

var apps = map[string]factory{
	"echo":       always(echo),
	"fail":       always(fail),
	"gate":       always(hold),
	"big":        always(grow),
	"children":   always(runInShell),
	"slow_start": startSlowly,
}

func always(f restyffi.HandlerFunc) factory {
	return func(string) (restyffi.Handler, error) { return f, nil }
}

func newApp(cfg string) (restyffi.Handler, error) {
	name, text, _ := strings.Cut(cfg, ":")
	factory, found := apps[name]
	if !found {
		return nil, fmt.Errorf("no app %q", name)
	}
	return factory(text)
}

func init() {
	restyffi.Serve(newApp)
}

func main() {}
