package switcheroo

import (
	"context"
	"errors"
)

var errTodo = errors.New("switcheroo: not written yet")

// Listen finds a free private port and listens on it. Nothing leads there before
// Ready.
//
// The context is the process's own: when it ends, Done is closed, and what goes
// on in the background ends. The caller closes the Handover.
func Listen(ctx context.Context, o Options) (*Handover, error) {
	return nil, errTodo
}
