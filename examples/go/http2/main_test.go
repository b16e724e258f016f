package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"restyffi"
	"restyffi/restyffitest"
)

// serve starts an HTTP/2 server and returns the configuration for it.
func serve(t *testing.T) []byte {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.Error(w, "nothing here", http.StatusNotFound)
			return
		}
		io.Copy(w, r.Body)
		io.WriteString(w, r.Method+" "+r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)

	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _ := json.Marshal(map[string]string{"url": server.URL, "ca": ca})
	return cfg
}

func load(t *testing.T) *restyffitest.Runtime {
	rt, err := restyffitest.Load(newClient, serve(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Unload)
	return rt
}

func TestServerIsSpokenToInHTTP2(t *testing.T) {
	rt := load(t)
	for call, want := range map[[2]string]string{
		{"get", "/"}:     "GET HTTP/2.0",
		{"post", "body"}: "bodyPOST HTTP/2.0",
	} {
		answer, err := rt.Call(context.Background(), call[0], []byte(call[1]))
		if err != nil || string(answer) != want {
			t.Error(string(answer), err)
		}
	}
}

func TestStatusIsTheErrorsNumber(t *testing.T) {
	var failed *restyffi.Error
	_, err := load(t).Call(context.Background(), "get", []byte("/missing"))
	if !errors.As(err, &failed) || failed.RC != http.StatusNotFound {
		t.Error(err)
	}
}
