package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrRefused is returned by Explain for a target that the proxy refuses.
var ErrRefused = errors.New("the proxy refuses that")

// Explain prints what the proxy of o does about a target, without connecting to it. user is the
// user of the client, "" for none.
func Explain(ctx context.Context, o Options, target, user string) error {
	o.Out, o.Err = cmp.Or[io.Writer](o.Out, io.Discard), cmp.Or[io.Writer](o.Err, io.Discard)
	c := newConfig(&o)
	for _, step := range []func() error{c.setPolicy, c.setUpstream} {
		if err := step(); err != nil {
			return err
		}
	}
	if o.Adjust != nil {
		o.Adjust(c.proxy)
	}
	e, err := c.proxy.Explain(ctx, target, user)
	if err != nil {
		return err
	}
	fmt.Fprint(o.Out, e)
	if e.Refusal != nil {
		return ErrRefused
	}
	return nil
}
