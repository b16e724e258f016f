// A client of etcd: rt:get(key), rt:put("key=value"), rt:delete(key), and
// rt:watch(key), which responds with the next value. The configuration is
// {"endpoints": ["http://127.0.0.1:2379"]}.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"restyffi"
)

// The rc of errors that callers tell apart.
const badRequest = 400

// dialTimeout is how long a load waits for a cluster that is not there.
const dialTimeout = 5 * time.Second

type store struct {
	client *clientv3.Client
}

func newStore(cfg []byte) (restyffi.Handler, error) {
	var options struct {
		Endpoints []string `json:"endpoints"`
	}
	if err := json.Unmarshal(cfg, &options); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(options.Endpoints) == 0 {
		return nil, errors.New(`configuration: no "endpoints"`)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   options.Endpoints,
		DialTimeout: dialTimeout,
		Logger:      zap.NewNop(),
	})
	if err != nil {
		return nil, err
	}
	return &store{client}, nil
}

// Handle has ctx end what etcd is asked for when the caller does not wait.
func (s *store) Handle(ctx context.Context, method string, req []byte) ([]byte, error) {
	switch method {
	case "get":
		return s.get(ctx, string(req))
	case "put":
		key, value, found := bytes.Cut(req, []byte("="))
		if !found {
			return nil, &restyffi.Error{RC: badRequest, Message: "put: key=value"}
		}
		_, err := s.client.Put(ctx, string(key), string(value))
		return nil, err
	case "delete":
		_, err := s.client.Delete(ctx, string(req))
		return nil, err
	case "watch":
		return s.watch(ctx, string(req))
	}
	return nil, &restyffi.Error{RC: badRequest, Message: "no method " + method}
}

// get responds with nil when there is no such key.
func (s *store) get(ctx context.Context, key string) ([]byte, error) {
	found, err := s.client.Get(ctx, key)
	if err != nil || len(found.Kvs) == 0 {
		return nil, err
	}
	return notNil(found.Kvs[0].Value), nil
}

func (s *store) watch(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for change := range s.client.Watch(ctx, key) {
		if err := change.Err(); err != nil {
			return nil, err
		}
		for _, event := range change.Events {
			return notNil(event.Kv.Value), nil
		}
	}
	return nil, ctx.Err()
}

func notNil(value []byte) []byte {
	return append([]byte{}, value...)
}

func (s *store) Close() error {
	return s.client.Close()
}

func init() {
	restyffi.Serve(newStore)
}

func main() {}
