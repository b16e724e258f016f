// Responds with its configuration, nil for nil.
package main

import (
	"context"

	"restyffi"
)

func init() {
	restyffi.Serve(func(cfg []byte) (restyffi.Handler, error) {
		return restyffi.HandlerFunc(func(context.Context, string, []byte) ([]byte, error) {
			return cfg, nil
		}), nil
	})
}

func main() {}
