package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// A tunnel is intercepted whichever way it was opened.
func TestInterceptWays(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	for _, protocol := range []string{"h2", "http/1.1"} {
		addr := httpOrigin(t, protocol == "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto)
		}))
		for _, way := range allWays {
			c, resp := e.dial(way, "origin.example:"+addr[strings.LastIndex(addr, ":")+1:])
			if c == nil {
				t.Fatal(resp.Status)
			}
			tc := tls.Client(c, &tls.Config{
				ServerName: "origin.example", RootCAs: e.clientRoots(), NextProtos: []string{protocol},
			})
			tr := &http.Transport{
				DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return tc, tc.Handshake() },
				Protocols:      new(http.Protocols),
			}
			tr.Protocols.SetHTTP1(protocol != "h2")
			tr.Protocols.SetHTTP2(protocol == "h2")
			resp, err := (&http.Client{Transport: tr, Timeout: testTimeout}).Get(urlOf(addr, "/"))
			if err != nil {
				t.Fatalf("%s over %s: %v", protocol, way, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if issuer := resp.TLS.PeerCertificates[0].Issuer; string(body) != resp.Proto || err != nil ||
				issuer.String() != e.i.CA.cert.Subject.String() {
				t.Errorf("%s over %s: %q, %v, issuer %v", protocol, way, body, err, issuer)
			}
			tr.CloseIdleConnections()
			_ = tc.Close()
			if r := e.exchange(); r.Proto != resp.Proto || r.Received != int64(len(body)) {
				t.Errorf("%s over %s: %+v", protocol, way, r)
			}
		}
	}
}

// Limits end an intercepted tunnel, and the record says which.
func TestInterceptLimits(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		addr := httpOrigin(t, protocol == "h2", http.NotFoundHandler())
		for want, p := range map[string]*Proxy{
			EndIdle: {IdleTimeout: 100 * time.Millisecond}, EndAge: {MaxTunnelAge: 100 * time.Millisecond},
		} {
			e := newIntercepting(t, &Interceptor{})
			e.p.IdleTimeout, e.p.MaxTunnelAge = p.IdleTimeout, p.MaxTunnelAge
			limits := holdLimits(e.p)
			c := e.tls(addr, protocol)
			limits.release()
			_, _ = io.Copy(io.Discard, c)
			if r := e.tunnelRecord(); r.End != want {
				t.Errorf("%s: %+v", protocol, r)
			}
		}
	}
}

// A proxy that drains lets requests end, and then the tunnels.
func TestInterceptDrains(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", http2), func(t *testing.T) {
			begun, goOn := make(chan bool), make(chan bool)
			addr := httpOrigin(t, http2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begun <- true
				<-goOn
				_, _ = io.WriteString(w, "whole")
			}))
			e := newIntercepting(t, &Interceptor{})
			got := make(chan string, 1)
			go func() {
				resp, err := e.http(http2).Get(urlOf(addr, "/"))
				if err != nil {
					got <- err.Error()
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				got <- string(body)
			}()
			<-begun
			done := make(chan error, 1)
			go func() { done <- e.p.Shutdown(t.Context()) }()
			<-e.p.init().draining
			close(goOn)
			if body := <-got; body != "whole" {
				t.Error(body)
			}
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(testTimeout):
				t.Error("the tunnel does not end")
			}
		})
	}
}

// recordingTracer keeps what it is told.
type recordingTracer struct {
	mu     sync.Mutex // guards the fields below
	conns  []*InterceptedConn
	frames map[Leg][]string
	octets map[Leg]*[2]bytes.Buffer
	ended  chan error
}

func newRecordingTracer() *recordingTracer {
	return &recordingTracer{
		frames: map[Leg][]string{}, octets: map[Leg]*[2]bytes.Buffer{ClientLeg: {}, OriginLeg: {}},
		ended: make(chan error, 10),
	}
}

func (r *recordingTracer) TraceConn(c *InterceptedConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

func (r *recordingTracer) TraceFrame(c *InterceptedConn, leg Leg, f conn.FrameTrace) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames[leg] = append(r.frames[leg], fmt.Sprint(c.ID, " ", f.Direction, " ", f.Header.Type, " ", f.Header.StreamID))
}

func (r *recordingTracer) TraceOctets(_ *InterceptedConn, leg Leg, d conn.Direction, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.octets[leg][d].Write(p)
}

func (r *recordingTracer) TraceEnd(_ *InterceptedConn, err error) { r.ended <- err }

// A tracer sees both legs, and which fields are secret.
func TestInterceptTracer(t *testing.T) {
	tracer := newRecordingTracer()
	e := newIntercepting(t, &Interceptor{Tracer: tracer, SetFields: setForAll("authorization", "secret")})
	addr := scriptOrigin(
		t,
		"GET / HTTP/1.1\r\nHost: origin.example\r\nAuthorization: secret\r\n\r\n",
		"HTTP/1.1 204 \r\n\r\n",
	)
	c := e.tls(addr, "http/1.1")
	_ = roundTripRaw(t, c, "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n")
	_ = c.Close()
	if err := <-tracer.ended; err != nil {
		t.Error(err)
	}
	tracer.mu.Lock()
	client, origin := tracer.octets[ClientLeg], tracer.octets[OriginLeg]
	if client[conn.In].String() != "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n" ||
		client[conn.Out].String() != "HTTP/1.1 204 \r\n\r\n" || origin[conn.In].String() != "HTTP/1.1 204 \r\n\r\n" ||
		!strings.Contains(origin[conn.Out].String(), "secret") {
		t.Errorf(
			"client: %q, %q; origin: %q, %q",
			client[0].String(),
			client[1].String(),
			origin[0].String(),
			origin[1].String(),
		)
	}
	if i := tracer.conns[0]; i.ID != 1 || i.Host != "origin.example" || i.Protocol != "http/1.1" || !i.Verified ||
		!slices.Equal(i.SetFields, []string{"authorization"}) {
		t.Errorf("%+v", i)
	}
	tracer.mu.Unlock()

	addr = h2Origin(t, conn.Config{}, func(st *conn.Stream) { _ = st.Reply(fieldsOf(":status", "204"), nil, nil) })
	hc := e.h2Client(addr, conn.Config{}, nil)
	st := open(t, hc, &conn.Request{Fields: requestOf("GET"), End: true})
	if _, err := st.AwaitHead(); err != nil {
		t.Fatal(err)
	}
	st.Release()
	_ = hc.Close()
	<-tracer.ended
	tracer.mu.Lock()
	defer tracer.mu.Unlock()
	for leg, want := range map[Leg]string{ClientLeg: "2 in HEADERS 1", OriginLeg: "2 out HEADERS 1"} {
		if !slices.Contains(tracer.frames[leg], want) {
			t.Errorf("%v: %q", leg, tracer.frames[leg])
		}
	}
}

// Tunnels of which either side goes away in the midst leave nothing behind.
func TestInterceptLeavesNothing(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	hang := func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) }
	half := func(c *tls.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		_ = c.NetConn().Close()
	}
	h2 := h2Origin(t, conn.Config{}, func(st *conn.Stream) {
		_ = st.WriteHeaders(fieldsOf(":status", "200"), false)
		_, _ = st.Write([]byte("half"))
		st.Conn().Flush()
		_, _ = io.ReadAll(st)
	})
	silent := tlsOrigin(t, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, hang)
	endings := map[string]func(){
		"client gone":     func() { _ = e.tls(silent, "http/1.1").NetConn().Close() },
		"client gone, h2": func() { _ = e.tls(silent, "h2").NetConn().Close() },
		"origin gone": func() {
			_, _ = io.WriteString(e.tls(tlsOrigin(t, &tls.Config{}, half)), "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n")
		},
		"client gone in an upload": func() {
			c := e.tls(silent, "http/1.1")
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: origin.example\r\nContent-Length: 100\r\n\r\nhalf")
			_ = c.NetConn().Close()
		},
		"client gone in a stream": func() {
			c := e.h2Client(h2, conn.Config{}, nil)
			st := open(t, c, &conn.Request{Fields: requestOf("POST")})
			_, _ = st.AwaitHead()
			st.Release()
			_ = c.NetConn().Close()
		},
		"stream reset": func() {
			c := e.h2Client(h2, conn.Config{}, nil)
			st := open(t, c, &conn.Request{Fields: requestOf("POST")})
			st.Reset(frame.Cancel)
			st.Release()
			_ = c.Close()
		},
		"half a ClientHello": func() {
			c := e.tunnel("origin.example", silent)
			_, _ = io.WriteString(c, "\x16\x03")
			_ = c.Close()
		},
	}
	for name, end := range endings {
		before := runtime.NumGoroutine()
		for range 20 {
			end()
		}
		for range 20 {
			if r := e.tunnelRecord(); r.End == "" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if n := e.p.Stats().Open; n != 0 {
			t.Errorf("%s: %d tunnels are open", name, n)
		}
		t.Logf("%s: %d goroutines more", name, runtime.NumGoroutine()-before)
	}
	awaitNoMore(t, "goroutines of tunnels", 0, func() int { return strings.Count(stacks(), "tunnel.(*session)") })
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// A thousand requests over one connection, as many at a time as the origin takes.
func TestInterceptManyStreams(t *testing.T) {
	const limit = 10
	addr := h2Origin(t, conn.Config{MaxConcurrentStreams: limit}, func(st *conn.Stream) {
		body, _ := io.ReadAll(st)
		_ = st.Reply(fieldsOf(":status", "200"), body, nil)
	})
	e := newIntercepting(t, &Interceptor{})
	c := e.h2Client(addr, conn.Config{}, nil)
	var wg sync.WaitGroup
	for worker := range limit {
		wg.Go(func() {
			for n := range 100 {
				want := strings.Repeat(fmt.Sprint(worker, n), 100)
				st := open(t, c, &conn.Request{Fields: requestOf("POST"), End: true, Body: []byte(want)})
				if _, err := st.AwaitHead(); err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(st); string(got) != want || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				st.Release()
			}
		})
	}
	wg.Wait()
}
