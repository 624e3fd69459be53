package server

import (
	"net/http"
	"net/url"
	"runtime"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/usecount"
)

// exchange is one request and its response: all that a handler gets, in one piece of memory. It is
// not reused, since handlers may keep parts of it. What it uses and is reused, the stream and the
// responseState, is given back when the handler and all calls that it has made have returned. Most
// of the garbage of a request is its exchange: what is not needed after the handler belongs into
// the responseState.
type exchange struct {
	// sc and s are nil once the handler and all calls that it has made have returned: an exchange
	// that the application keeps must not keep the connection in memory. They may be used between
	// enter and leave, by the handler's own goroutine, and with the response's lock held while the
	// response has its responseState.
	sc *serverConn
	s  *conn.Stream

	// uses counts the calls that use s beside the handler's own goroutine. It is closed when the
	// handler has returned.
	uses  usecount.Count
	flags atomic.Uint32 // bodyPresent and those that follow

	req  http.Request
	url  url.URL
	resp response

	parent   *connContext                      // of the request's context
	ctxState atomic.Pointer[cancelableContext] // nil until something waits for the request's context
}

// enter begins a use of the stream by any goroutine, and reports whether it is still there.
func (x *exchange) enter() bool { return x.uses.Enter() }

// closed reports whether the handler has returned.
func (x *exchange) closed() bool { return x.uses.Closed() }

// leave ends what enter has begun.
func (x *exchange) leave() {
	if x.uses.Leave() {
		s := x.s
		x.sc, x.s = nil, nil
		s.Release()
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

// run makes the request, calls the handler and ends the exchange. names are the field names of the
// worker's last request.
func (x *exchange) run(names *headerNames) {
	returned := false
	defer func() {
		if !returned {
			x.abort(recover()) // nil: the handler has called runtime.Goexit
		}
	}()
	h := x.makeRequest(x.s.Message(), names)
	h.ServeHTTP(&x.resp, &x.req)
	returned = true
	x.end(true)
}

// abort ends the exchange of a handler that has not returned, by a panic or runtime.Goexit.
func (x *exchange) abort(reason any) {
	if reason != nil && reason != http.ErrAbortHandler {
		buf := make([]byte, 64<<10)
		buf = buf[:runtime.Stack(buf, false)]
		x.sc.logf("http: panic serving %v: %v\n%s", x.sc.remoteAddr, reason, buf)
		x.sc.srv.panics.Add(1)
	}
	x.end(false)
}

// end ends the exchange and its use of the stream, when the handler has returned or will not.
func (x *exchange) end(returned bool) {
	alone := x.uses.CloseAndEnter() // no new call uses the stream; alone: and none is under way
	// Either this finds the cancelableContext, or cancelable finds uses closed.
	if st := x.ctxState.Load(); st != nil {
		st.cancel(errHandlerReturned)
	}
	released := false // the stream, with the last frame
	if returned {
		released = x.resp.finish(alone)
	} else {
		x.resp.abort(frame.InternalError)
	}
	if f := x.req.MultipartForm; f != nil {
		_ = f.RemoveAll() // as net/http does; temporary files that stay are no error of the request
	}
	if released {
		x.sc, x.s = nil, nil
		return
	}
	if x.is(bodyPresent) {
		x.finishBody()
	}
	x.leave()
}
