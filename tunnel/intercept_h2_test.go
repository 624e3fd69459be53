package tunnel

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// h2Handler is a conn.Handler that has each stream served on a goroutine of its own.
type h2Handler struct {
	serve func(st *conn.Stream)
	wg    sync.WaitGroup
}

func (h *h2Handler) HandleStreams(batch []*conn.Stream) {
	for _, st := range batch {
		h.wg.Go(func() { h.serve(st); st.Conn().Flush(); st.Release() })
	}
}
func (h *h2Handler) StreamBlocked(st *conn.Stream) { st.Conn().FlushNoWait() }
func (h *h2Handler) ConnState(bool)                {}

// h2Origin serves HTTP/2 with package conn.
func h2Origin(t *testing.T, cfg conn.Config, serve func(st *conn.Stream)) (addr string) {
	return tlsOrigin(t, &tls.Config{NextProtos: []string{"h2"}}, func(c *tls.Conn) {
		h := &h2Handler{serve: serve}
		_ = conn.NewServer(c, cfg, h).Serve()
		h.wg.Wait()
	})
}

// h2Client is an HTTP/2 connection through the proxy; pushed gets what is promised.
func (e *interceptEnv) h2Client(addr string, cfg conn.Config, pushed func(st *conn.Stream)) *conn.Client {
	h := &h2Handler{serve: pushed}
	c := conn.NewClient(e.tls(addr, "h2"), cfg, h)
	done := make(chan error, 1)
	go func() { done <- c.Serve() }()
	e.t.Cleanup(func() { _ = c.Close(); <-done; h.wg.Wait() })
	return c
}

func fieldsOf(s ...string) (f []header.Field) {
	for i := 0; i < len(s); i += 2 {
		name, never := strings.CutSuffix(s[i], "!") // never indexed
		f = append(f, header.Field{Name: name, Value: s[i+1], Sensitive: never})
	}
	return f
}

func requestOf(method string, more ...string) []header.Field {
	return fieldsOf(append([]string{
		":method", method, ":scheme", "https", ":authority", "origin.example", ":path", "/path?query",
	}, more...)...)
}

func textOf(fields []header.Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s", f.Name, f.Value)
		if f.Sensitive {
			b.WriteString(" (never indexed)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func open(t *testing.T, c *conn.Client, r *conn.Request) *conn.Stream {
	t.Helper()
	if _, err := c.AwaitSettings(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := c.OpenRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.SetReadDeadline(time.Now().Add(testTimeout))
	_ = st.SetWriteDeadline(time.Now().Add(testTimeout))
	return st
}

// Fields arrive in order with their marks, interim responses and trailers both ways, and one record
// says what it was.
func TestInterceptHTTP2Messages(t *testing.T) {
	var request, requestTrailers string
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		m := st.Message()
		request = m.Method + " " + m.Scheme + " " + m.Authority + " " + m.Path + "\n" + textOf(m.Fields)
		_ = st.WriteHeaders(fieldsOf(":status", "103", "link", "</a>", "link", "</b>"), false)
		body, _ := io.ReadAll(st)
		requestTrailers = string(body) + "\n" + textOf(st.Trailers())
		_ = st.WriteHeaders(fieldsOf(":status", "200", "b", "1", "a", "2", "set-cookie!", "s", "b", "3"), false)
		_, _ = st.Write([]byte("response"))
		_ = st.Finish(nil, fieldsOf("grpc-status", "0", "secret!", "x"))
	})
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{}, nil)
	var interim string
	st := open(t, c, &conn.Request{
		Fields: requestOf(
			"POST",
			"z",
			"1",
			"authorization!",
			"q",
			"cookie",
			"a=b",
			"cookie",
			"c=d",
			"a",
			"2",
			"te",
			"trailers",
		),
		OnInterim: func(m *header.Message) { interim += fmt.Sprint(m.Status, "\n") + textOf(m.Fields) },
	})
	if err := st.Finish([]byte("content"), fieldsOf("t", "1")); err != nil {
		t.Fatal(err)
	}
	c.Flush() // that of OpenRequest may be over
	head, err := st.AwaitHead()
	if err != nil {
		t.Fatal(err)
	}
	response := textOf(head.Fields)
	body, err := io.ReadAll(st)
	if err != nil {
		t.Fatal(err)
	}
	got := request + requestTrailers + interim + response + string(body) + "\n" + textOf(st.Trailers())
	st.Release()
	want := `POST https origin.example /path?query
z: 1
authorization: q (never indexed)
cookie: a=b; c=d (never indexed)
a: 2
te: trailers
content
t: 1
103
link: </a>
link: </b>
b: 1
a: 2
set-cookie: s (never indexed)
b: 3
response
grpc-status: 0
secret: x (never indexed)
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	r := e.exchange()
	if r.Method != "POST" || r.Path != "/path" || r.Status != 200 || r.Sent != 7 || r.Received != 8 ||
		r.End != EndClosed ||
		r.Proto != "HTTP/2.0" ||
		r.Target != "origin.example:"+addr[strings.LastIndex(addr, ":")+1:] {
		t.Errorf("%+v", r)
	}
}

// The fields that are set take the place of the client's, never-indexed, for the host alone.
func TestInterceptHTTP2SetFields(t *testing.T) {
	got := make(chan string, 1)
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		got <- textOf(st.Message().Fields)
		_ = st.Reply(fieldsOf(":status", "204"), nil, nil)
	})
	e := newIntercepting(t, &Interceptor{SetFields: setForAll("Authorization", "secret")})
	c := e.h2Client(addr, conn.Config{}, nil)
	st := open(t, c, &conn.Request{Fields: requestOf("GET", "authorization", "mine", "a", "b"), End: true})
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	st.Release()
	if d := cmp.Diff("a: b\nauthorization: secret (never indexed)\n", <-got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	fields := requestOf("GET", "authorization", "mine")
	fields[2].Value = "evil.example"
	st = open(t, c, &conn.Request{Fields: fields, End: true})
	if head, err := st.AwaitHead(); err != nil || head.Status != 421 {
		t.Errorf("for another host: %v, %v", head.Message, err)
	}
	st.Release()
}

// A push of the origin reaches the client, unless that takes none.
func TestInterceptHTTP2Push(t *testing.T) {
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		promise := requestOf("GET", "accept", "text/css")
		promise[3].Value = "/pushed?x"
		pushed, err := st.Push(promise)
		if err == nil {
			_ = pushed.WriteHeaders(fieldsOf(":status", "200", "x", "y"), false)
			_ = pushed.Finish([]byte("pushed"), nil)
			pushed.Release()
		}
		_ = st.Reply(fieldsOf(":status", "200", "push", fmt.Sprint(err)), []byte("page"), nil)
	})
	e := newIntercepting(t, &Interceptor{})
	got := make(chan string, 1)
	c := e.h2Client(addr, conn.Config{EnablePush: true}, func(st *conn.Stream) {
		head, err := st.AwaitHead()
		if err != nil {
			got <- err.Error()
			return
		}
		body, err := io.ReadAll(st)
		got <- fmt.Sprint(st.Promise().Path, " ", textOf(st.Promise().Fields), head.Status, " ", string(body), " ", err)
	})
	st := open(t, c, &conn.Request{Fields: requestOf("GET"), End: true, Owner: t})
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-got:
		if d := cmp.Diff("/pushed?x accept: text/css\n200 pushed <nil>", s); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	case <-time.After(testTimeout):
		t.Fatal("no push")
	}
	st.Release()
	none := e.h2Client(addr, conn.Config{}, nil)
	st = open(t, none, &conn.Request{Fields: requestOf("GET"), End: true, Owner: t})
	head, err := st.AwaitHead()
	if err != nil || !strings.Contains(textOf(head.Fields), "disabled push") {
		t.Errorf("%v, %v", head.Message, err)
	}
	st.Release()
}

// A reset of either side reaches the other with its code, and what came before it first.
func TestInterceptHTTP2Resets(t *testing.T) {
	ended := make(chan error, 10)
	addr := h2Origin(t, conn.Config{EnableConnectProtocol: true}, func(st *conn.Stream) {
		if st.Message().Method == "GET" {
			_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
			_, _ = st.Write([]byte("half"))
			st.Conn().Flush()
			st.Reset(frame.EnhanceYourCalm)
			return
		}
		_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
		st.Conn().Flush()
		_, err := io.ReadAll(st)
		ended <- err
	})
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{}, nil)
	st := open(t, c, &conn.Request{Fields: requestOf("GET"), End: true})
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(st)
	if string(body) != "half" || !errors.Is(err, frame.EnhanceYourCalm) {
		t.Errorf("%q, %v", body, err)
	}
	st.Release()
	if r := e.exchange(); r.End != EndTargetReset {
		t.Errorf("%+v", r)
	}
	connect := append(requestOf("CONNECT"), fieldsOf(":protocol", "websocket")...)
	for _, fields := range [][]header.Field{requestOf("POST"), connect} {
		st = open(t, c, &conn.Request{Fields: fields})
		if _, err := st.AwaitHead(); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write([]byte("part")); err != nil {
			t.Fatal(err)
		}
		c.Flush()
		st.Reset(frame.InternalError)
		st.Release()
		if err := <-ended; !errors.Is(err, frame.InternalError) {
			t.Errorf("the origin: %v", err)
		}
		if r := e.exchange(); r.End != EndClientReset {
			t.Errorf("%+v", r)
		}
	}
}

// A response that is complete before its request, whose rest the origin does not want.
func TestInterceptHTTP2EarlyResponse(t *testing.T) {
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		_ = st.Reply(fieldsOf(":status", "413"), []byte("too much"), nil)
	})
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{}, nil)
	st := open(t, c, &conn.Request{Fields: requestOf("POST")})
	_, _ = st.Write([]byte("some"))
	c.Flush()
	head, err := st.AwaitHead()
	if err != nil || head.Status != 413 {
		t.Fatal(head, err)
	}
	if body, err := io.ReadAll(st); string(body) != "too much" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	for err == nil {
		_, err = st.Write(make([]byte, 1<<10))
		c.Flush()
	}
	if !errors.Is(err, frame.NoError) {
		t.Errorf("Write: %v", err)
	}
	st.Release()
}

// 10 MiB both ways at a window of 65,535; a client that does not read stops the origin.
func TestInterceptHTTP2FlowControl(t *testing.T) {
	const size = 10 << 20
	pattern := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	wrote := make(chan int, 1<<16)
	addr := h2Origin(
		t,
		conn.Config{MaxReceiveBufferPerStream: 65535, MaxReceiveBufferPerConnection: 65535},
		func(st *conn.Stream) {
			_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
			if st.Message().Method == "GET" {
				for {
					n, err := st.Write(pattern[:32<<10])
					wrote <- n
					if err != nil {
						close(wrote)
						return
					}
				}
			}
			b := make([]byte, 16<<10)
			for {
				n, err := st.Read(b)
				if _, werr := st.Write(b[:n]); werr != nil || err != nil {
					break
				}
			}
			_ = st.Finish(nil, nil)
		},
	)
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{MaxReceiveBufferPerStream: 65535, MaxReceiveBufferPerConnection: 65535}, nil)
	st := open(t, c, &conn.Request{Fields: requestOf("POST")})
	sent := make(chan error, 1)
	go func() {
		_, err := st.Write(pattern)
		if err == nil {
			err = st.Finish(nil, nil)
		}
		c.Flush()
		sent <- err
	}()
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, pattern) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	st.Release()

	slow := open(t, c, &conn.Request{Fields: requestOf("GET"), End: true})
	if _, err := slow.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for more := true; more; {
		select {
		case n := <-wrote:
			total += n
		case <-time.After(300 * time.Millisecond):
			more = false
		}
	}
	if total > 2<<20 {
		t.Errorf("the origin has sent %d octets to a client that does not read", total)
	}
	slow.Reset(frame.Cancel)
	slow.Release()
	for range wrote {
	}
}

// GOAWAY of the origin has the client open no more streams, and those that run go on.
func TestInterceptHTTP2GoAway(t *testing.T) {
	goOn := make(chan bool)
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
		st.Conn().Flush()
		st.Conn().Shutdown()
		<-goOn
		_ = st.Finish([]byte("all"), nil)
	})
	e := newIntercepting(t, &Interceptor{})
	changed := make(chan bool, 100)
	c := conn.NewClient(e.tls(addr, "h2"), conn.Config{}, nil)
	c.OnQuota(func() { changed <- true })
	done := make(chan error, 1)
	go func() { done <- c.Serve() }()
	defer func() { _ = c.Close(); <-done }()
	st := open(t, c, &conn.Request{Fields: requestOf("GET"), End: true})
	for c.GoAway() == nil {
		<-changed
	}
	close(goOn)
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(st); string(body) != "all" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	st.Release()
	if r := e.tunnelRecord(); r.End != EndClosed || r.Sent == 0 || r.Received == 0 {
		t.Errorf("%+v", r)
	}
}

// What the origin says of extended CONNECT and streams is said to the client.
func TestInterceptHTTP2Settings(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	for _, connect := range []bool{false, true} {
		addr := h2Origin(t, conn.Config{EnableConnectProtocol: connect, MaxConcurrentStreams: 17}, nil)
		c := e.h2Client(addr, conn.Config{}, nil)
		s, err := c.AwaitSettings(t.Context())
		if err != nil || s.EnableConnectProtocol != connect || s.MaxConcurrentStreams != 17 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// The tunnel ends with the origin, in the midst of a response.
func TestInterceptHTTP2OriginLost(t *testing.T) {
	arrived := make(chan struct{}) // a close may cost what the other side has not read yet
	addr := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
		_, _ = st.Write([]byte("half"))
		st.Conn().Flush()
		<-arrived
		_ = st.Conn().Close()
	})
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{}, nil)
	st := open(t, c, &conn.Request{Fields: requestOf("GET"), End: true})
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	half := make([]byte, 4)
	_, err := io.ReadFull(st, half)
	close(arrived)
	if err != nil || string(half) != "half" {
		t.Errorf("%q, %v", half, err)
	}
	if body, err := io.ReadAll(st); len(body) > 0 || err == nil {
		t.Errorf("then %q, %v", body, err)
	}
	st.Release()
	if r := e.exchange(); r.End != EndTargetLost && r.End != EndTargetReset {
		t.Errorf("%+v", r)
	}
	e.tunnelRecord()
}
