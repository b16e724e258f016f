package main

import (
	"context"
	"restyffi"
)

func init() {
	restyffi.Serve(func(cfg string) (restyffi.Handler, error) {
		return restyffi.HandlerFunc(func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil }), nil
	})
}

func main() {}
