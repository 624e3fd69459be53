package server

import (
	"net/http"
	"net/url"
	"runtime"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// exchange is one request and its response: all that a handler gets, in one piece of memory. It is not reused,
// since handlers keep parts of it; the stream and the buffers, which are, are given back when the handler has
// returned and the last call that came from it.
type exchange struct {
	sc *serverConn
	s  *conn.Stream // only between enter and leave, or by the handler's own goroutine

	// refs counts the calls that use s, and the handler as one. With closing added, no new call may begin.
	refs  atomic.Int32
	flags atomic.Uint32 // see requestBody

	// Guarded by dispatcher.mu.
	blocked bool // has waited in a call of ours
	over    bool // the handler has returned

	req  http.Request
	url  url.URL
	ctx  requestContext
	resp response
}

// closing is added to exchange.refs when the handler has returned.
const closing = 1 << 30

// newExchange makes the exchange of a stream.
func newExchange(sc *serverConn, s *conn.Stream) *exchange {
	x := &exchange{sc: sc, s: s}
	x.refs.Store(1)
	x.ctx.x, x.resp.x = x, x
	return x
}

// enter begins a use of the stream by whatever goroutine, and tells whether it is still there.
func (x *exchange) enter() bool {
	for {
		n := x.refs.Load()
		if n&closing != 0 {
			return false
		}
		if x.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends what enter has begun.
func (x *exchange) leave() {
	if x.refs.Add(-1) == closing {
		x.s.Release()
	}
}

// withStream calls f unless the handler has returned.
func (x *exchange) withStream(f func(*conn.Stream) error) error {
	if !x.enter() {
		return errWriteAfterReturn
	}
	defer x.leave()
	return f(x.s)
}

// watch has the context end when the stream dies. It costs something, so it is called when the context is used.
func (x *exchange) watch() {
	if x.set(watched) || !x.enter() {
		return
	}
	x.s.OnEnd(x.died)
	x.leave()
}

func (x *exchange) died(err error) {
	x.set(dead)
	x.ctx.end(err)
	x.resp.notifyClose()
}

// run makes the request, calls the handler and ends the exchange.
func (x *exchange) run() {
	returned := false
	defer func() {
		if !returned {
			x.aborted(recover()) // nil: runtime.Goexit
		}
		x.ended()
	}()
	h := x.makeRequest(x.s.Message())
	h.ServeHTTP(&x.resp, &x.req)
	returned = true
	x.ctx.end(errHandlerReturned)
	x.resp.finish()
}

// aborted ends the stream of a handler that did not return.
func (x *exchange) aborted(reason any) {
	if reason != nil && reason != http.ErrAbortHandler {
		buf := make([]byte, 64<<10)
		buf = buf[:runtime.Stack(buf, false)]
		x.sc.logf("http: panic serving %v: %v\n%s", x.sc.remoteAddr, reason, buf)
		x.sc.eng.panics.Add(1)
	}
	x.ctx.end(errHandlerReturned)
	x.resp.abort(frame.InternalError)
}

// ended gives back what the exchange holds.
func (x *exchange) ended() {
	if f := x.req.MultipartForm; f != nil {
		_ = f.RemoveAll() // as net/http; temporary files that stay are no error of the request
	}
	if x.is(bodyPresent) {
		x.finishBody()
	}
	if x.refs.Add(closing-1) == closing {
		x.s.Release()
	}
}
