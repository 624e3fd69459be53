package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/usecount"
	"github.com/sluice-go/sluice/stream/priority"
)

// exchange is one attempt to send a request, and its response, in one piece of memory. It is not
// reused, since the user keeps parts of it; the stream is, and is given back when response and
// upload are done with it.
type exchange struct {
	cc     *ClientConn
	stream *conn.Stream // may be used by those that uses counts
	req    *http.Request
	trace  *httptrace.ClientTrace
	upload *upload // nil when there is no body, or it was sent with the head

	// uses counts the users of stream: the upload, the calls between enter and leave, and until the
	// response is over, or it is known that there will be none, RoundTrip or the response.
	uses usecount.Count

	priority  *requestPriority // nil unless the context has one
	coalesced bool             // on a connection to another origin, so that 421 has the request sent again

	stopWatch func() bool   // ends the watch of the context
	watchDone chan struct{} // closed when the response is over; nil unless Request.Cancel is set

	mu              sync.Mutex
	cancelErr       error // why this side has given up
	final           bool  // RoundTrip has returned or is about to, with a response: nothing will be sent again
	headSeen        bool  // the head of the response, or what came in its place
	finished        bool  // the response is
	responseEnded   bool  // the response has come to its end
	answeredEarly   bool  // the server has answered that it has no use for what it has not had of the request
	uploadEnded     bool  // the upload has come to its end
	firstByteTraced bool  // GotFirstResponseByte was called

	gzip bool
	resp http.Response
	body responseBody
}

// enter begins a use of the stream by any goroutine, and reports whether it is still there.
func (x *exchange) enter() bool { return x.uses.Enter() }

// leave ends what enter has begun. The last to leave gives the stream back.
func (x *exchange) leave() {
	if x.uses.Leave() {
		x.releaseStream()
	}
}

// finish says that the response is over, or that there will be none.
func (x *exchange) finish() {
	x.mu.Lock()
	was := x.finished
	x.finished = true
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

func (x *exchange) releaseStream() {
	c := x.stream.Conn()
	x.stream.Release()
	c.FlushNoWait()
}

// send opens the stream, with a slot that is reserved, and leaves it open for a tunnel. After an
// error nothing was sent.
func (x *exchange) send(body *replayBody, tunnel bool) error {
	req := x.req
	b := fieldBuffers.Get().(*fieldBuffer)
	defer b.free()
	length := int64(0)
	if body != nil {
		length = bodyLength(req)
	}
	if err := b.requestFields(req, length, x.gzip); err != nil {
		x.cc.c.Unreserve()
		return err
	}
	var p priority.Params
	if x.priority != nil {
		p = x.priority.params()
		b.statePriority(req, p)
	}
	if order := x.cc.t.PseudoHeaderOrder; len(order) > 0 {
		orderPseudo(b.fields, order)
	}
	r := conn.Request{
		Fields: b.fields, Priority: p, Head: req.Method == http.MethodHead, End: body == nil && !tunnel,
		Reserved: true, Owner: x, Into: &x.stream,
	}
	if err := x.prepareBody(&r, b, body); err != nil {
		x.cc.c.Unreserve()
		return err
	}
	if x.trace != nil || x.upload != nil && x.upload.continue100 != nil {
		r.OnInterim = x.onInterim
		r.TakesInterim = x.trace != nil && x.trace.Got1xxResponse != nil // which can refuse them, as with net/http
	}
	x.uses.Start(1)
	if x.upload != nil {
		x.uses.Start(2)
		r.OnEnd = x.onStreamEnd
	}
	if _, err := x.cc.c.OpenRequest(&r); err != nil {
		return err
	}
	if x.priority != nil {
		x.priority.add(x, p)
	}
	if x.trace == nil {
		x.wroteHeaders(b.fields, body)
	} else {
		x.wroteHeadersTraced(b.fields, body)
	}
	if x.upload != nil {
		go x.upload.run() // ends with the stream; see there
	}
	return nil
}

// prepareBody puts a small body into r, or makes an upload for it.
func (x *exchange) prepareBody(r *conn.Request, b *fieldBuffer, body *replayBody) error {
	switch {
	case body == nil && (len(x.req.Trailer) == 0 || x.req.Method == http.MethodConnect):
		return nil
	case body == nil || x.cc.t.awaitsContinue(x.req) || !body.inMemory(smallBody):
	default:
		p := b.memory(int(bodyLength(x.req)))
		n, err := readInMemory(body, p)
		if err != nil {
			return err
		}
		trailers, err := trailerFields(x.req.Trailer)
		if err != nil {
			return err
		}
		r.Body, r.Trailers, r.End = p[:n], trailers, true
		return nil
	}
	if body == nil {
		var err error
		r.Trailers, err = trailerFields(x.req.Trailer)
		r.End = true
		return err
	}
	x.upload = &upload{x: x, r: body.newReader(), length: bodyLength(x.req), streamDone: make(chan struct{})}
	if x.cc.t.awaitsContinue(x.req) {
		x.upload.continue100 = make(chan struct{}, 1)
	}
	return nil
}

// readInMemory reads a body that is in memory, and makes sure that it ends where it should.
func readInMemory(body *replayBody, p []byte) (n int, err error) {
	r := body.newReader()
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	if err == nil {
		var more [1]byte
		_, err = r.Read(more[:])
	}
	switch {
	case !isEOF(err):
		return n, err
	case n < len(p):
		return n, errBodyTooShort
	}
	return n, nil
}

// awaitsContinue tells whether the body waits for 100 (Continue).
func (t *Transport) awaitsContinue(req *http.Request) bool {
	return t.expectContinueTimeout() > 0 && len(req.Header["Expect"]) > 0 && hasToken(req.Header["Expect"], "100-continue")
}

// wroteHeadersTraced is tellWritten where there are hooks. One that does not return (t.FailNow, a panic)
// ends the request, whose upload has not begun.
func (x *exchange) wroteHeadersTraced(fields []core.Field, body *replayBody) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if body != nil {
			body.close(false)
		}
		if x.upload != nil {
			x.uploadDone()
			x.leave()
		}
		x.abandon()
	}()
	x.wroteHeaders(fields, body)
	returned = true
}

// abandon ends a request whose caller is gone.
func (x *exchange) abandon() {
	x.mu.Lock()
	x.final = true // nothing is sent again, and an upload that runs closes the body
	if x.cancelErr == nil {
		x.cancelErr = errHookExited
	}
	x.mu.Unlock()
	x.reset()
}

// errHookExited ends a request for which the application's code was called that did not return.
var errHookExited = errors.New("http2: a hook of the request ended its goroutine")

// wroteHeaders calls the hooks for a request whose head, and body where there is no upload, is on
// its way.
func (x *exchange) wroteHeaders(fields []core.Field, body *replayBody) {
	if t := x.trace; t != nil {
		traceFields(t, fields)
		if t.WroteHeaders != nil {
			t.WroteHeaders()
		}
		if x.upload != nil && x.upload.continue100 != nil && t.Wait100Continue != nil {
			t.Wait100Continue()
		}
	}
	if x.upload == nil {
		x.wroteRequest(nil)
		if body != nil {
			body.close(false)
		}
	}
}

// wroteRequest follows when all of the request is on its way, or will never be.
func (x *exchange) wroteRequest(err error) {
	if t := x.trace; t != nil && t.WroteRequest != nil {
		t.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	if err != nil {
		return
	}
	if d := x.cc.t.responseHeaderTimeout(); d > 0 {
		x.mu.Lock()
		if !x.headSeen {
			_ = x.stream.SetReadDeadline(time.Now().Add(d)) // fails only on a dead stream
		}
		x.mu.Unlock()
	}
}

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
	if x.cancelErr == nil && !x.finished && !died {
		x.cancelErr = err
	}
	suspect := !x.headSeen
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

// onStreamEnd is told that the stream has died early. It must not block.
func (x *exchange) onStreamEnd(error) {
	x.mu.Lock()
	final := x.final
	x.mu.Unlock()
	x.upload.markDone()
	if final {
		x.upload.r.body.closeAttempt(x.upload.r.attempt, true)
	}
}

// onInterim takes an interim response, on a goroutine of its own.
func (x *exchange) onInterim(m *core.Message) {
	returned := false
	defer func() {
		if !returned { // a hook has ended the goroutine
			x.cancel(errHookExited, frame.Cancel)
		}
	}()
	x.handleInterim(m)
	returned = true
}

func (x *exchange) handleInterim(m *core.Message) {
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

func (x *exchange) firstByte() {
	if x.trace == nil || x.trace.GotFirstResponseByte == nil {
		return
	}
	x.mu.Lock()
	was := x.firstByteTraced
	x.firstByteTraced = true
	x.mu.Unlock()
	if !was {
		x.trace.GotFirstResponseByte()
	}
}

// firstByteGuarded is firstByte on the goroutine of the request's caller.
func (x *exchange) firstByteGuarded() {
	if x.trace == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			x.abandon()
		}
	}()
	x.firstByte()
	returned = true
}

// awaitResponse waits for the response.
func (x *exchange) awaitResponse() (*http.Response, error) {
	head, err := x.awaitHead()
	if err != nil {
		return nil, err
	}
	return x.responseFor(head), nil
}

// awaitHead waits for the head of the response, of which it makes one. After an error the exchange
// is over.
func (x *exchange) awaitHead() (conn.ResponseHead, error) {
	head, err := x.stream.AwaitHead()
	if err == nil && head.TooLarge {
		err = &frame.StreamError{StreamID: x.stream.ID(), Code: frame.ProtocolError, Cause: errHeaderTooLarge}
	}
	x.mu.Lock()
	x.headSeen = true
	x.mu.Unlock()
	if err != nil {
		return head, x.fail(err)
	}
	x.firstByteGuarded()
	if x.cc.t.responseHeaderTimeout() > 0 {
		_ = x.stream.SetReadDeadline(time.Time{}) // it was for the head
	}
	x.makeResponse(head)
	if x.cc.t.AltSvcHandler != nil {
		x.altSvcField(head.Fields)
	}
	if x.isMisdirected() {
		return head, nil
	}
	x.markFinal()
	if head.Status >= 300 {
		x.stopUpload()
	}
	return head, nil
}

// isMisdirected reports whether the response is one of a server that does not answer for the
// request's origin.
func (x *exchange) isMisdirected() bool {
	return x.coalesced && x.resp.StatusCode == http.StatusMisdirectedRequest
}

// stopUpload ends the sending of a request that the server has answered with a status of 300 or
// more: it has no use for the rest.
func (x *exchange) stopUpload() {
	if x.req.Body == nil {
		return
	}
	x.mu.Lock()
	x.answeredEarly = true
	sent := x.uploadEnded
	x.mu.Unlock()
	if x.upload != nil && !sent {
		x.upload.stop()
	}
}

// responseFor follows when the head of the response has come.
func (x *exchange) responseFor(head conn.ResponseHead) *http.Response {
	if head.NoBody {
		x.responseDone()
	} else if head.Complete && x.upload == nil && x.stopWatch != nil {
		x.stopWatch() // there is nothing left that could be cancelled
	}
	return &x.resp
}

// responseDone and uploadDone end the exchange when both are. A response that is over before its
// request lets that go on, for as long as the server takes it and the user neither cancels nor
// closes, unless it says that there was a fault.
func (x *exchange) responseDone() {
	x.mu.Lock()
	x.responseEnded = true
	both, unwanted := x.upload == nil || x.uploadEnded, x.answeredEarly
	x.mu.Unlock()
	if unwanted {
		x.stream.Reset(frame.NoError) // if our side has not ended: what was sent is all that there will be
	}
	if both || unwanted {
		x.finish()
	}
}

func (x *exchange) uploadDone() {
	x.mu.Lock()
	x.uploadEnded = true
	both := x.responseEnded
	x.mu.Unlock()
	if both {
		x.finish()
	}
}

// markFinal notes that the request will not be sent again.
func (x *exchange) markFinal() {
	x.mu.Lock()
	x.final = true
	x.mu.Unlock()
	if u := x.upload; u != nil {
		select {
		case <-u.streamDone:
			u.r.body.closeAttempt(u.r.attempt, false)
		default:
		}
	}
}

// fail ends an attempt without a response, and says why.
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
	if x.cancelErr != nil {
		err = x.cancelErr
		x.mu.Unlock()
		x.reset()
		return err
	}
	x.cancelErr = err
	x.mu.Unlock()
	x.reset()
	return &Error{Addr: x.cc.addr, StreamID: id, Unprocessed: unsent || isUnprocessed(err), Err: x.cc.tellingError(err)}
}

// reset ends the stream, if it has not ended, and the exchange.
func (x *exchange) reset() {
	x.stream.Reset(frame.Cancel)
	x.finish()
}
