package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"restyffi"
	"restyffi/restyffitest"
)

func TestConfigurationNeedsEndpoints(t *testing.T) {
	for _, cfg := range []string{"", "{}", "no JSON"} {
		_, err := restyffitest.Load(newStore, []byte(cfg))
		if err == nil || !strings.Contains(err.Error(), "configuration") {
			t.Errorf("%q: %v", cfg, err)
		}
	}
}

func TestWrongRequestIsRefused(t *testing.T) {
	rt, err := restyffitest.Load(newStore, []byte(`{"endpoints": ["http://127.0.0.1:1"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Unload()

	var refused *restyffi.Error
	_, err = rt.Call(context.Background(), "put", []byte("no value"))
	if !errors.As(err, &refused) || refused.RC != badRequest {
		t.Error(err)
	}
}
