package get

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// An interruption is the error of a run that the end of its context has cut short.
type interruption struct {
	text  string
	cause error // of the end of the context; it may have an exit status
}

func (e *interruption) Error() string { return e.text }

func (e *interruption) Unwrap() error { return e.cause }

// interruption returns the error of what was not over when ctx ended; nil where all was.
func (g *getter) interruption(ctx context.Context, exchanges []*exchange, pushes []*pushed) error {
	if ctx.Err() == nil {
		return nil
	}
	n := 0
	for _, x := range exchanges {
		if x.err != nil && errors.Is(x.err, context.Canceled) {
			n++
		}
	}
	pushFailed := slices.ContainsFunc(pushes, func(p *pushed) bool { return p.err != nil })
	e := &interruption{cause: context.Cause(ctx)}
	switch {
	case n == 0 && !pushFailed:
		return nil
	case n == 0:
		e.text = "interrupted: a push has not come to its end"
	case len(exchanges) == 1:
		e.text = g.o.name(exchanges[0].url) + ": interrupted before its end"
	default:
		e.text = fmt.Sprintf("interrupted: %d of %d requests have not come to their end", n, len(exchanges))
	}
	return e
}
