package client

import (
	"net/http"
	"net/textproto"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// onInterim takes an interim response, on a goroutine that conn starts for it.
func (x *exchange) onInterim(m *header.Message) {
	callHook(func() { x.handleInterim(m) }, func() { x.cancel(errHookExited, frame.Cancel) })
}

// handleInterim calls the hooks for an interim response, and ends the wait of the upload at a 100.
func (x *exchange) handleInterim(m *header.Message) {
	x.firstByte()
	t := x.trace
	if t != nil && t.Got1xxResponse != nil {
		if err := t.Got1xxResponse(m.Status, textproto.MIMEHeader(makeHeader(m.Fields, nil))); err != nil {
			x.cancel(err, frame.Cancel)
			return
		}
	}
	if m.Status != http.StatusContinue {
		return
	}
	if t != nil && t.Got100Continue != nil {
		t.Got100Continue()
	}
	if x.upload != nil {
		x.upload.signalContinue()
	}
}

// firstByte calls the hook GotFirstResponseByte, once.
func (x *exchange) firstByte() {
	if x.trace == nil || x.trace.GotFirstResponseByte == nil {
		return
	}
	x.mu.Lock()
	was := x.mu.firstByteTraced
	x.mu.firstByteTraced = true
	x.mu.Unlock()
	if !was {
		x.trace.GotFirstResponseByte()
	}
}

// firstByteGuarded is firstByte on the goroutine of the request's caller, which the hook may end.
func (x *exchange) firstByteGuarded() {
	if x.trace != nil {
		callHook(x.firstByte, x.abandon)
	}
}
