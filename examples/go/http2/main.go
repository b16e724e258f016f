// A client of one HTTP/2 server over TLS: rt:get(path), rt:post(body) to "/".
// Calls share its connection. The configuration is {"url": "https://...",
// "ca": "/path/to/ca.pem"}, "ca" being needed for a private one only.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"restyffi"
)

// maxBody bounds what a server can have the worker remember.
const maxBody = 16 << 20

type client struct {
	base   *url.URL
	client http.Client
}

func newClient(cfg []byte) (restyffi.Handler, error) {
	var options struct {
		URL string `json:"url"`
		CA  string `json:"ca"`
	}
	if err := json.Unmarshal(cfg, &options); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	base, err := url.Parse(options.URL)
	if err != nil || base.Scheme != "https" {
		return nil, fmt.Errorf("configuration: %q is no https URL", options.URL)
	}
	trusted, err := trust(options.CA)
	if err != nil {
		return nil, err
	}
	return &client{base, http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: trusted},
	}}}, nil
}

// trust returns nil, the system's, for no file.
func trust(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + file)
	}
	return pool, nil
}

// Handle fails with the server's status as rc, unless that is 200.
func (c *client) Handle(ctx context.Context, method string, req []byte) ([]byte, error) {
	path, verb, body := "/", http.MethodPost, req
	if method == "get" {
		path, verb, body = string(req), http.MethodGet, nil
	}
	request, err := http.NewRequestWithContext(ctx, verb, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		return nil, errors.New("the server speaks " + response.Proto)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err == nil && response.StatusCode != http.StatusOK {
		err = &restyffi.Error{RC: response.StatusCode, Message: string(answer)}
	}
	return answer, err
}

func (c *client) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

func init() {
	restyffi.Serve(newClient)
}

func main() {}
