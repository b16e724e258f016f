package restyffi

import (
	"errors"
	"math"
)

// An Error is what Lua gets as false, rc, message. Any other error has rc 1
// and its text; one that wraps an Error has the Error's rc and its own text.
type Error struct {
	RC      int // not 0; 1 is taken for what does not fit into C's int
	Message string
}

func (e *Error) Error() string {
	return e.Message
}

// failed is the rc of errors that have none of their own.
const failed = 1

func rcOf(err error) int {
	var e *Error
	if !errors.As(err, &e) || e.RC == 0 || e.RC < math.MinInt32 || e.RC > math.MaxInt32 {
		return failed
	}
	return e.RC
}
