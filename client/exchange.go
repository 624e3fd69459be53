package client

import (
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/usecount"
)

// exchange is one attempt to send a request, with its response, in one piece of memory. It is not
// reused, since the user keeps parts of it. Its stream is, and is given back when response and
// upload have ended.
type exchange struct {
	cc        *ClientConn
	stream    *conn.Stream // valid for the users that uses counts
	req       *http.Request
	trace     *httptrace.ClientTrace
	upload    *upload          // nil when there is no body, or it was sent with the head
	priority  *requestPriority // nil unless the request's context has one
	coalesced bool             // the connection was made for another origin, so that 421 leads to another attempt

	// uses counts the users of stream: the upload, the calls between enter and leave, and until the
	// response is over, or it is known that there will be none, RoundTrip or the response.
	uses usecount.Count

	stopWatch func() bool   // ends the watch of the request's context; nil where that cannot end
	watchDone chan struct{} // closed when the exchange has finished; nil unless Request.Cancel is set

	mu struct { // Conn.mu of package conn may be taken while it is held, and no other lock
		sync.Mutex
		cancelErr       error // why this side has given up, nil while it has not
		final           bool  // the request will not be sent again: RoundTrip returns a response, or is given up
		headSeen        bool  // the head of the response has come, or an error in its place
		finished        bool  // finish was called: the response has ended, or there will be none
		responseEnded   bool  // the response has come to its end
		answeredEarly   bool  // the status is 300 or more: the server needs no more of the request
		uploadEnded     bool  // the upload's goroutine has ended
		firstByteTraced bool  // GotFirstResponseByte was called
	}

	gzip bool // the request asks for a compressed response, which is decompressed
	resp http.Response
	body responseBody
}

// enter begins a use of the stream by any goroutine, and reports whether the stream is still there.
func (x *exchange) enter() bool { return x.uses.Enter() }

// leave ends what enter has begun. The last to leave gives the stream back.
func (x *exchange) leave() {
	if x.uses.Leave() {
		x.releaseStream()
	}
}

// finish ends the exchange: the response has ended, or there will be none.
func (x *exchange) finish() {
	x.mu.Lock()
	was := x.mu.finished
	x.mu.finished = true
	x.mu.Unlock()
	if was {
		return
	}
	if x.priority != nil {
		x.priority.remove(x)
	}
	if x.stopWatch != nil {
		x.stopWatch()
	}
	if x.watchDone != nil {
		close(x.watchDone)
	}
	if x.uses.CloseAndLeave() {
		x.releaseStream()
	}
}

// releaseStream gives the stream back, and sends what that has to say to the server.
func (x *exchange) releaseStream() {
	c := x.stream.Conn()
	x.stream.Release()
	c.FlushNoWait()
}

// responseDone is called at the end of the response. Where the upload still runs it goes on, for as
// long as the server takes it and the user neither cancels nor closes the body, unless the status
// says that the server needs no more of it.
func (x *exchange) responseDone() {
	x.mu.Lock()
	unwanted := x.mu.answeredEarly
	x.mu.Unlock()
	if unwanted && x.enter() { // before uploadDone may give the stream back
		x.stream.Reset(frame.NoError) // nothing more will be sent; does nothing where all was sent
		x.leave()
	}
	x.mu.Lock()
	x.mu.responseEnded = true
	both := x.upload == nil || x.mu.uploadEnded
	x.mu.Unlock()
	if both || unwanted {
		x.finish()
	}
}

// uploadDone is called at the end of the upload.
func (x *exchange) uploadDone() {
	x.mu.Lock()
	x.mu.uploadEnded = true
	both := x.mu.responseEnded
	x.mu.Unlock()
	if both {
		x.finish()
	}
}

// markFinal records that the request will not be sent again.
func (x *exchange) markFinal() {
	x.mu.Lock()
	x.mu.final = true
	x.mu.Unlock()
	if u := x.upload; u != nil {
		select {
		case <-u.streamDone:
			u.r.body.closeAttempt(u.r.attempt, false)
		default:
		}
	}
}

// fail ends an attempt without a response, and returns the request's error.
func (x *exchange) fail(err error) error {
	if err == os.ErrDeadlineExceeded { //nolint:errorlint // the stream's own; one behind a lost connection is another
		err = errHeaderTimeout
	}
	unsent := x.stream.Unsent()
	id := x.stream.ID()
	if x.upload != nil {
		x.upload.markDone()
	}
	x.mu.Lock()
	if x.mu.cancelErr != nil {
		err = x.mu.cancelErr
		x.mu.Unlock()
		x.reset()
		return err
	}
	x.mu.cancelErr = err
	x.mu.Unlock()
	x.reset()
	return &Error{Addr: x.cc.addr, StreamID: id, Unprocessed: unsent || isUnprocessed(err), Err: x.cc.userError(err)}
}

// reset ends the stream, if it has not ended, and the exchange.
func (x *exchange) reset() {
	x.stream.Reset(frame.Cancel)
	x.finish()
}
