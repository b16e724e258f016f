package host

import "context"

// A Handle answers one call.
type Handle func(ctx context.Context, method string, req []byte) ([]byte, error)

// A Factory makes what answers the calls of one runtime, and what closes it,
// which may be nil. cfg is nil when there is none.
type Factory func(cfg *string) (handle Handle, shut func() error, err error)

// Start starts one runtime: the SDK proper sets it. end returns when every call
// was answered and what the factory made is closed.
var Start func(queue Queue, factory Factory, cfg *string) (end func(), err error)

// Served is the factory of the library, nil when there is none.
var Served Factory
