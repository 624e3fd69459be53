package client

import (
	"context"
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// watch has the end of the request's context, or of Request.Cancel, end the exchange.
func (x *exchange) watch(ctx context.Context) {
	if ctx.Done() != nil {
		x.stopWatch = context.AfterFunc(ctx, func() { x.cancel(ctx.Err(), frame.Cancel) })
	}
	if cancel := x.req.Cancel; cancel != nil { //nolint:staticcheck // deprecated, and part of the contract
		x.watchDone = make(chan struct{})
		go func() { // ends when the exchange has finished
			select {
			case <-cancel:
				x.cancel(errRequestCanceled, frame.Cancel)
			case <-x.watchDone:
			}
		}()
	}
}

// cancel resets the stream for the reason err. If the stream has failed before, that failure stays
// the reason.
func (x *exchange) cancel(err error, code frame.Code) {
	entered := x.enter()
	failed := entered && x.stream.Dead()
	x.mu.Lock()
	if x.mu.cancelErr == nil && !x.mu.finished && !failed {
		x.mu.cancelErr = err
	}
	suspect := !x.mu.headSeen
	x.mu.Unlock()
	if !entered {
		return
	}
	x.stream.Reset(code)
	if suspect {
		x.stream.Probe() // the server may not be there any more
	}
	x.leave()
}

// abandon ends a request whose caller's goroutine was ended by a hook.
func (x *exchange) abandon() {
	x.mu.Lock()
	x.mu.final = true // the request is not sent again, so an upload that runs closes the body
	if x.mu.cancelErr == nil {
		x.mu.cancelErr = errHookExited
	}
	x.mu.Unlock()
	x.reset()
}

// errHookExited ends a request for which code of the application was called that did not return.
var errHookExited = errors.New("http2: a hook of the request ended its goroutine")

// onStreamEnd is called by conn when the stream of a request with an upload ends early. It must not
// block.
func (x *exchange) onStreamEnd(error) {
	// Before final is read: either this finds it set, or markFinal, which sets it at the same time,
	// finds streamDone closed, and closes the body.
	x.upload.markDone()
	x.mu.Lock()
	final := x.mu.final
	x.mu.Unlock()
	if final {
		x.upload.r.body.closeAttempt(x.upload.r.attempt, true)
	}
}
