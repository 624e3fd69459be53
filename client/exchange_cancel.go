package client

import (
	"context"
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// watch has the end of the context, or of Request.Cancel, end the exchange.
func (x *exchange) watch(ctx context.Context) {
	if ctx.Done() != nil {
		x.stopWatch = context.AfterFunc(ctx, func() { x.cancel(ctx.Err(), frame.Cancel) })
	}
	if cancel := x.req.Cancel; cancel != nil { //nolint:staticcheck // deprecated, and part of the contract
		x.watchDone = make(chan struct{})
		go func() { // ends with the response
			select {
			case <-cancel:
				x.cancel(errRequestCanceled, frame.Cancel)
			case <-x.watchDone:
			}
		}()
	}
}

// cancel gives up for the reason err. Of a stream that has died before, the reason is what it died
// of.
func (x *exchange) cancel(err error, code frame.Code) {
	entered := x.enter()
	died := entered && x.stream.Dead()
	x.mu.Lock()
	if x.mu.cancelErr == nil && !x.mu.finished && !died {
		x.mu.cancelErr = err
	}
	suspect := !x.mu.headSeen
	x.mu.Unlock()
	if !entered {
		return
	}
	x.stream.Reset(code)
	if suspect {
		x.stream.Probe() // it may be that nobody is there
	}
	x.leave()
}

// abandon ends a request whose caller is gone.
func (x *exchange) abandon() {
	x.mu.Lock()
	x.mu.final = true // nothing is sent again, and an upload that runs closes the body
	if x.mu.cancelErr == nil {
		x.mu.cancelErr = errHookExited
	}
	x.mu.Unlock()
	x.reset()
}

// errHookExited ends a request for which the application's code was called that did not return.
var errHookExited = errors.New("http2: a hook of the request ended its goroutine")

// onStreamEnd is told that the stream has died early. It must not block.
func (x *exchange) onStreamEnd(error) {
	x.mu.Lock()
	final := x.mu.final
	x.mu.Unlock()
	x.upload.markDone()
	if final {
		x.upload.r.body.closeAttempt(x.upload.r.attempt, true)
	}
}
