package client

import (
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/syntax"
	"github.com/sluice-go/sluice/stream/priority"
)

// send opens the stream, for which a slot is reserved, and with tunnel leaves it open to be sent
// on. After an error nothing was sent.
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
		go x.upload.run() // ends with the stream, or with a Read of the user's body
	}
	return nil
}

// prepareBody puts a body that is small and in memory into r, or makes an upload for any other.
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

// readInMemory fills p with a body that is in memory, and checks that the body ends there.
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

// awaitsContinue reports whether the body of req waits for 100 (Continue).
func (t *Transport) awaitsContinue(req *http.Request) bool {
	return t.expectContinueTimeout() > 0 && len(req.Header["Expect"]) > 0 &&
		syntax.HasToken(req.Header["Expect"], "100-continue")
}

// wroteHeadersTraced is wroteHeaders where there are hooks. A hook that does not return (t.FailNow,
// a panic) ends the request, whose upload has not begun.
func (x *exchange) wroteHeadersTraced(fields []header.Field, body *replayBody) {
	callHook(func() { x.wroteHeaders(fields, body) }, func() {
		if body != nil {
			body.close(false)
		}
		if x.upload != nil {
			x.uploadDone()
			x.leave()
		}
		x.abandon()
	})
}

// wroteHeaders is called when the request's head, and its body where there is no upload, were given
// to the connection. It calls the hooks for that.
func (x *exchange) wroteHeaders(fields []header.Field, body *replayBody) {
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

// wroteRequest is called when all of the request was given to the connection, or with an error when
// it will not be.
func (x *exchange) wroteRequest(err error) {
	if t := x.trace; t != nil && t.WroteRequest != nil {
		t.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	if err != nil {
		return
	}
	if d := x.cc.t.responseHeaderTimeout(); d > 0 {
		x.mu.Lock()
		if !x.mu.headSeen {
			_ = x.stream.SetReadDeadline(time.Now().Add(d)) // fails only on a stream that has ended
		}
		x.mu.Unlock()
	}
}
