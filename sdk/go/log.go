package restyffi

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"

	"restyffi/internal/host"
	"restyffi/internal/ngx"
)

// NewLogHandler returns a [slog.Handler] that writes to nginx's error.log. opts
// are those of [slog.NewTextHandler], and may be nil: debug lines need a Level
// there as well as in nginx.conf.
//
// A line that is logged with the context of a call (slog.InfoContext) has the
// name of its runtime and the id of its request; others have neither. Levels
// are nginx's of the same name; what is between info and warn is notice.
// Without nginx, in a test, lines without a call go to standard error.
func NewLogHandler(opts *slog.HandlerOptions) slog.Handler {
	if opts == nil {
		opts = &slog.HandlerOptions{}
	}
	sink := &sink{}
	return &logHandler{
		Handler: slog.NewTextHandler(&sink.text, &slog.HandlerOptions{
			AddSource:   opts.AddSource,
			Level:       opts.Level,
			ReplaceAttr: attributesOnly(opts.ReplaceAttr),
		}),
		sink: sink,
	}
}

// A sink is where a handler, and all that were made from it, write attributes.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

type logHandler struct {
	slog.Handler // writes the attributes
	sink         *sink
}

func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	attributes := slog.NewRecord(record.Time, record.Level, "", record.PC)
	record.Attrs(func(a slog.Attr) bool {
		attributes.AddAttrs(a)
		return true
	})

	h.sink.mu.Lock()
	h.sink.text.Reset()
	err := h.Handler.Handle(ctx, attributes)
	text := h.sink.text.String()
	h.sink.mu.Unlock()

	text = strings.TrimSpace(record.Message + " " + text)
	if c := callOf(ctx); c != nil {
		c.log(levelOf(record.Level), text)
	} else {
		ngx.Log(levelOf(record.Level), text)
	}
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.Handler.WithAttrs(attrs), h.sink}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.Handler.WithGroup(name), h.sink}
}

// attributesOnly leaves out what nginx writes, and the message, which goes in
// front.
func attributesOnly(replace func([]string, slog.Attr) slog.Attr) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && isBuiltIn(a) {
			return slog.Attr{}
		}
		if replace != nil {
			return replace(groups, a)
		}
		return a
	}
}

func isBuiltIn(a slog.Attr) bool {
	switch a.Key {
	case slog.TimeKey:
		return a.Value.Kind() == slog.KindTime
	case slog.LevelKey:
		_, ok := a.Value.Any().(slog.Level)
		return ok
	case slog.MessageKey:
		return a.Value.String() == ""
	}
	return false
}

func levelOf(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return host.LevelError
	case level >= slog.LevelWarn:
		return host.LevelWarn
	case level > slog.LevelInfo:
		return host.LevelNotice
	case level >= slog.LevelInfo:
		return host.LevelInfo
	}
	return host.LevelDebug
}
