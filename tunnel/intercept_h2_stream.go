package tunnel

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/usecount"
)

// relayBuffer is the memory of one direction of a stream.
const relayBuffer = 16 << 10

var relayBuffers = sync.Pool{New: func() any { b := make([]byte, relayBuffer); return &b }}

// openWait is how long a request waits for the origin to take another stream. The origin's limit is
// the client's, too, so that it waits only where the origin has lowered it.
const openWait = 10 * time.Second

// h2exchange is a request and its response, or a push: a stream of the client and one of the
// origin.
type h2exchange struct {
	r        *h2relay
	toClient *conn.Stream
	toOrigin *conn.Stream   // set before any goroutine or callback of the exchange uses it
	uses     usecount.Count // of the two streams, which are released by the last user
	upload   chan struct{}  // closed when the request was passed on; nil where it has no content
	tunnel   bool           // CONNECT
	uploaded atomic.Bool    // the request was passed on

	record         Record
	sent, received atomic.Int64
	failed         atomic.Pointer[error] // why the exchange did not end in good order
}

// begin opens a stream to the origin for one of the client. It is called by the reader of the
// client's connection, so that streams are opened in order, and does not wait.
func (r *h2relay) begin(st *conn.Stream) {
	x := &h2exchange{r: r, toClient: st}
	m := st.Message()
	x.record = r.exchangeRecord("HTTP/2.0", m.Method, m.Path)
	x.tunnel = m.Method == "CONNECT"
	authority := m.Authority
	for i := range m.Fields {
		if authority == "" && m.Fields[i].Name == "host" {
			authority = m.Fields[i].Value
		}
	}
	plainConnect := x.tunnel && m.Protocol == ""
	switch {
	case m.TooLarge:
		x.refuse(431, typeRequestError, "the request's header section is too large for the proxy")
		return
	case !plainConnect && r.misdirected(authority):
		x.refuse(421, typeDenied, "the request is for another host than the tunnel")
		return
	}
	request := &conn.Request{
		Fields: r.requestFields(m, !plainConnect && r.mayHave(authority)),
		Head:   m.Method == "HEAD", End: st.HeadOnly(), Priority: conn.PriorityParams{},
		Owner: x, Into: &x.toOrigin, OnEnd: x.originEnded, OnInterim: x.passInterim,
	}
	if p := st.Priority(); p.Extensible {
		request.Priority = conn.PriorityParams{Extensible: true, Urgency: p.Urgency, Incremental: p.Incremental}
	}
	x.uploaded.Store(st.HeadOnly())
	if !st.HeadOnly() {
		x.upload = make(chan struct{})
	}
	x.uses.Start(1)
	_, err := r.origin.OpenRequest(request)
	if err == nil {
		x.start()
		return
	}
	if mayOpenLater(err) {
		r.exchanges.Add(1)
		go x.openLater(request)
		return
	}
	x.notOpened(err)
}

// openLater waits until the origin takes another stream.
func (x *h2exchange) openLater(request *conn.Request) {
	defer x.r.exchanges.Done()
	late := time.NewTimer(openWait)
	defer late.Stop()
	gone := make(chan struct{})
	x.toClient.OnEnd(func(error) { close(gone) })
	for {
		quota := x.r.awaitQuota()
		_, free := x.r.origin.Quota()
		err := x.r.origin.Err()
		if free > 0 {
			_, err = x.r.origin.OpenRequest(request)
			if err == nil {
				x.start()
				return
			}
		}
		if err != nil && !mayOpenLater(err) {
			x.notOpened(err)
			return
		}
		select {
		case <-quota:
		case <-gone:
			x.notOpened(errors.New("the client has reset the stream"))
			return
		case <-late.C:
			x.notOpened(errors.New("the origin takes no more streams"))
			return
		}
	}
}

// start runs the exchange, whose streams are open.
func (x *h2exchange) start() {
	x.r.note(x.toClient.ID(), x)
	x.r.exchanges.Add(1)
	x.toClient.OnEnd(x.clientEnded)
	go x.run()
}

// notOpened ends an exchange for which the origin has no stream. The client may try again.
func (x *h2exchange) notOpened(err error) {
	if errors.Is(err, conn.ErrHeaderListSize) {
		x.refuse(431, typeRequestError, "the request's header section is too large for the origin")
		return
	}
	x.toClient.Reset(frame.RefusedStream)
	x.toClient.Release()
	x.finish(failedSide(targetSide, err))
}

// refuse answers a request that is not passed on.
func (x *h2exchange) refuse(status int, kind, details string) {
	refusal := &Refusal{Status: status, Type: kind, Details: details}
	fields, body := x.r.page(refusal)
	x.record.Status = status
	if err := x.toClient.ReplyAndRelease(fields, body, nil); err != nil {
		x.toClient.Release()
	}
	x.r.client.FlushNoWait()
	x.finish(refusal)
}

// run passes the request's content and the response on, and ends the exchange.
func (x *h2exchange) run() {
	defer x.r.exchanges.Done()
	if x.upload != nil {
		go x.passRequest()
	}
	x.passResponse()
	if x.upload != nil {
		<-x.upload
	}
	if x.uses.CloseAndLeave() {
		x.release()
	}
}

// streams returns the streams for a caller that is not run or passRequest, and that calls leave
// after it has used them; nil where the exchange is over.
func (x *h2exchange) streams() (toOrigin, toClient *conn.Stream) {
	if !x.uses.Enter() {
		return nil, nil
	}
	return x.toOrigin, x.toClient
}

func (x *h2exchange) leave() {
	if x.uses.Leave() {
		x.release()
	}
}

func (x *h2exchange) release() {
	x.r.note(x.toClient.ID(), nil)
	x.toClient.Release()
	x.toOrigin.Release()
	x.r.client.FlushNoWait()
	x.r.origin.FlushNoWait()
	var err error
	if p := x.failed.Load(); p != nil {
		err = *p
	}
	x.finish(err)
}

// finish hands the record over.
func (x *h2exchange) finish(err error) {
	x.record.Sent, x.record.Received = x.sent.Load(), x.received.Load()
	x.r.auditExchange(&x.record, err)
}

// fail notes why the exchange does not end in good order; the first error of a side counts.
func (x *h2exchange) fail(side int, err error) {
	err = failedSide(side, err)
	x.failed.CompareAndSwap(nil, &err)
}

// clientEnded is called when the client's stream was reset, or lost with its connection: the origin
// gets the same code.
func (x *h2exchange) clientEnded(err error) {
	toOrigin, _ := x.streams()
	if toOrigin == nil {
		return
	}
	x.fail(clientSide, err)
	if x.tunnel && !x.uploaded.Load() {
		// What the client has sent before is delivered first, by passRequest.
		_ = toOrigin.SetWriteDeadline(time.Now().Add(closeGrace))
	} else {
		toOrigin.Reset(resetCode(err, frame.Cancel))
	}
	x.leave()
}

// originEnded is called when the origin's stream was reset, or lost with its connection.
// passResponse delivers what came before, and then resets the client's stream; nothing more is read
// from the client.
func (x *h2exchange) originEnded(error) {
	if _, toClient := x.streams(); toClient != nil {
		toClient.CloseRead()
		x.leave()
	}
}

// resetCode is the code of RST_STREAM that has ended a stream; other where it was lost with its
// connection.
func resetCode(err error, other frame.Code) frame.Code {
	var se *frame.StreamError
	if errors.As(err, &se) {
		return se.Code
	}
	return other
}

// passInterim passes an interim response on.
func (x *h2exchange) passInterim(m *header.Message) {
	_, toClient := x.streams()
	if toClient == nil {
		return
	}
	_ = toClient.WriteHeaders(responseFields(m), false) // fails where the client has left
	x.r.client.FlushNoWait()
	x.leave()
}

// passRequest passes the content of the request on, its trailers and its end.
func (x *h2exchange) passRequest() {
	defer close(x.upload)
	err := pass(x.toOrigin, x.toClient, &x.sent)
	x.r.origin.FlushNoWait()
	var source *readError
	x.uploaded.Store(true)
	switch {
	case errors.As(err, &source) && !errors.Is(err, conn.ErrReadClosed):
		x.toOrigin.Reset(resetCode(err, frame.Cancel))
	case x.toClient.Dead(): // since the content has ended, or while the origin did not take it
		x.toOrigin.Reset(resetCode(x.toClient.Err(), frame.Cancel))
	case err != nil: // the origin's stream has died, and passResponse finds out how
		x.toClient.CloseRead()
	}
}

// passResponse passes the response on.
func (x *h2exchange) passResponse() {
	head, err := x.toOrigin.AwaitHead()
	if err == nil && head.TooLarge {
		x.fail(targetSide, errors.New("the response's header section is too large for the proxy"))
		x.toClient.Reset(frame.InternalError)
		x.toOrigin.Reset(frame.Cancel)
		return
	}
	if err == nil {
		x.record.Status = head.Status
		err = x.toClient.WriteHeaders(responseFields(head.Message), head.NoBody)
		if err != nil {
			x.fail(clientSide, err)
			x.toOrigin.Reset(resetCode(err, frame.Cancel))
			return
		}
		if head.NoBody {
			x.r.client.FlushNoWait()
			return
		}
		err = pass(x.toClient, x.toOrigin, &x.received)
		x.r.client.FlushNoWait()
		var source *readError
		if err == nil {
			return
		}
		if !errors.As(err, &source) {
			x.fail(clientSide, err)
			x.toOrigin.Reset(resetCode(err, frame.Cancel))
			return
		}
	}
	x.fail(targetSide, err)
	other := frame.InternalError
	if x.toOrigin.Unsent() {
		other = frame.RefusedStream
	}
	x.toClient.Reset(resetCode(err, other))
}

// readError is an error of the stream that is read from.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// pass passes what src has on to dst until its end: content, trailers, END_STREAM.
func pass(dst, src *conn.Stream, count *atomic.Int64) error {
	buf := relayBuffers.Get().(*[]byte)
	defer relayBuffers.Put(buf)
	b := *buf
	for {
		n, err := src.Read(b)
		count.Add(int64(n))
		for err == nil && n < len(b) && src.RemoteEnded() { // which does not wait
			var k int
			k, err = src.Read(b[n:])
			count.Add(int64(k))
			n += k
		}
		if err == io.EOF { //nolint:errorlint // the end of the message is this very value
			return dst.Finish(b[:n], src.Trailers())
		}
		if n > 0 {
			if _, werr := dst.Write(b[:n]); werr != nil {
				return werr
			}
		}
		if err != nil {
			return &readError{err}
		}
	}
}

// requestFields are the fields of a request for the origin, in order, with those to set.
func (s *session) requestFields(m *header.Message, set bool) []header.Field {
	fields := make([]header.Field, 0, 6+len(m.Fields)+len(s.set))
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, header.Field{Name: name, Value: value})
		}
	}
	add(":method", m.Method)
	add(":scheme", m.Scheme)
	add(":authority", m.Authority)
	add(":path", m.Path)
	add(":protocol", m.Protocol)
	for _, f := range m.Fields {
		switch {
		case set && s.setsField(f.Name):
		case f.Name == "cookie" && strings.Contains(f.Value, "; "):
			for crumb := range strings.SplitSeq(f.Value, "; ") { // RFC 9113 §8.2.3
				fields = append(fields, header.Field{Name: f.Name, Value: crumb, Sensitive: f.Sensitive})
			}
		default:
			fields = append(fields, f)
		}
	}
	if set {
		fields = append(fields, s.set...)
	}
	return fields
}

// responseFields are the fields of a response for the client.
func responseFields(m *header.Message) []header.Field {
	fields := make([]header.Field, 0, 1+len(m.Fields))
	fields = append(fields, header.Field{Name: ":status", Value: strconv.Itoa(m.Status)})
	return append(fields, m.Fields...)
}
