package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// refuser is a Server that refuses CONNECT with 407 and keeps the connection.
type refuser struct {
	*Server
	closed chan struct{} // closed with StateClosed
	mu     sync.Mutex    // guards the fields below
	states []http.ConnState
	errs   []error
}

func newRefuser() *refuser {
	r := &refuser{Server: &Server{}, closed: make(chan struct{})}
	r.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Negotiate")
		if req.Method != http.MethodConnect {
			_, _ = io.WriteString(w, "page")
			return
		}
		err := RefuseConnect(w, req, http.StatusProxyAuthRequired, []byte("who are you?"))
		r.mu.Lock()
		r.errs = append(r.errs, err)
		r.mu.Unlock()
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	r.ConnState = func(_ net.Conn, state http.ConnState) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.states = append(r.states, state); state == http.StateClosed {
			close(r.closed)
		}
	}
	return r
}

// dial serves a connection in the given way and returns the client's side. done is closed when
// ServeConn has returned.
func (r *refuser) dial(t *testing.T, way string) (nc net.Conn, done chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = l.Close() })
	if nc, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * time.Minute))
	done = make(chan struct{})
	switch way {
	case "ServeConn":
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() { r.ServeConn(accepted); close(done) }()
	case "TLS", "ALPN": // which chooses h2 that is ignored, or http/1.1
		cert, err := selfsigned.Certificate("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		r.TLSConfig, r.IgnoreALPN = &tls.Config{Certificates: []tls.Certificate{cert}}, way == "TLS"
		go func() { _ = r.ServeTLS(l, "", "") }()
		roots := x509.NewCertPool()
		roots.AddCert(cert.Leaf)
		protos := map[string][]string{"TLS": {"h2"}, "ALPN": {"http/1.1"}}[way]
		nc = tls.Client(nc, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: protos})
	default:
		go func() { _ = r.Serve(l) }()
	}
	return nc, done
}

// ask sends a request and returns the response with its content.
func ask(t *testing.T, nc net.Conn, br *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

const connectRequest = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"

// refusedWays are those of refuser.dial.
var refusedWays = []string{"cleartext", "TLS", "ALPN", "ServeConn"}

// A refused CONNECT leaves the connection for other requests, however often, with the same version
// of Go or another; and ConnState sees one connection, not one that was taken over.
func TestRefuseConnectKeeps(t *testing.T) {
	for _, way := range refusedWays {
		t.Run(way, func(t *testing.T) {
			r := newRefuser()
			nc, done := r.dial(t, way)
			br := bufio.NewReader(nc)
			for range 3 {
				resp, body := ask(t, nc, br, connectRequest)
				if resp.StatusCode != 407 || resp.Close || body != "who are you?" ||
					resp.Header.Get("Proxy-Authenticate") != "Negotiate" || resp.Header.Get("Date") == "" {
					t.Errorf("%v, %q", resp, body)
				}
				resp, body = ask(t, nc, br, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
				if resp.StatusCode != 200 || body != "page" {
					t.Errorf("%v, %q", resp, body)
				}
			}
			select {
			case <-done:
				t.Error("ServeConn has returned")
			default:
			}
			_ = nc.Close()
			if way == "ServeConn" {
				<-done
			}
			if err := r.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			<-r.closed
			r.mu.Lock()
			defer r.mu.Unlock()
			if slices.Contains(r.states, http.StateHijacked) {
				t.Errorf("states %v", r.states)
			}
			if err := errors.Join(r.errs...); err != nil || len(r.errs) != 3 {
				t.Error(err)
			}
		})
	}
}

// Where the connection cannot be kept, nothing is done; octets of a tunnel are no request.
func TestRefuseConnectDoesNot(t *testing.T) {
	const page = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	for request, want := range map[string]int{
		connectRequest + page: 407, // which is what a tunnel begins with
		"CONNECT a.example:443 HTTP/1.0\r\nHost: a.example:443\r\n\r\n":                      403,
		"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nConnection: close\r\n\r\n": 403,
	} {
		r := newRefuser()
		nc, _ := r.dial(t, "cleartext")
		br := bufio.NewReader(nc)
		resp, _ := ask(t, nc, br, request)
		if resp.StatusCode != want || !resp.Close {
			t.Errorf("%q: %v", request, resp)
		}
		if b, err := io.ReadAll(br); err != nil || len(b) > 0 {
			t.Errorf("%q: %q, %v", request, b, err)
		}
	}
}

// Shutdown closes a connection that is kept at once, over TLS, too.
func TestRefuseConnectShutdown(t *testing.T) {
	for _, way := range refusedWays {
		t.Run(way, func(t *testing.T) {
			r := newRefuser()
			nc, _ := r.dial(t, way)
			br := bufio.NewReader(nc)
			if resp, _ := ask(t, nc, br, connectRequest); resp.StatusCode != 407 {
				t.Errorf("%v", resp)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := r.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if b, err := io.ReadAll(br); len(b) > 0 || err != nil && !strings.Contains(fmt.Sprint(err), "reset") {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// A connection that is kept is closed behind IdleTimeout, and not behind what a new one has.
func TestRefuseConnectIdle(t *testing.T) {
	for _, way := range refusedWays {
		t.Run(way, func(t *testing.T) {
			r := newRefuser()
			r.IdleTimeout, r.FirstByteTimeout = 50*time.Millisecond, time.Minute
			nc, _ := r.dial(t, way)
			br := bufio.NewReader(nc)
			if resp, _ := ask(t, nc, br, connectRequest); resp.StatusCode != 407 {
				t.Errorf("%v", resp)
			}
			if b, err := io.ReadAll(br); len(b) > 0 || err != nil { // fails behind the deadline of dial
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// What a handler says of the length of the answer, in whatever case, does not contradict it.
func TestRefuseConnectFraming(t *testing.T) {
	r := newRefuser()
	refuse := r.Handler
	r.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodConnect {
			for _, name := range []string{"Transfer-Encoding", "transfer-encoding", "content-length", "Trailer"} {
				w.Header()[name] = []string{"chunked"}
			}
		}
		refuse.ServeHTTP(w, req)
	})
	nc, _ := r.dial(t, "cleartext")
	br := bufio.NewReader(nc)
	for range 2 {
		resp, body := ask(t, nc, br, connectRequest)
		if resp.StatusCode != 407 || body != "who are you?" || len(resp.TransferEncoding) > 0 || len(resp.Trailer) > 0 {
			t.Errorf("%v, %q", resp, body)
		}
	}
}

// RefuseConnect is for CONNECT of HTTP/1.1 to a Server alone.
func TestRefuseConnectElsewhere(t *testing.T) {
	r := (&http.Request{
		Method: http.MethodConnect, ProtoMajor: 1, ProtoMinor: 1, URL: &url.URL{}, Header: http.Header{},
	}).WithContext(t.Context())
	if err := RefuseConnect(nil, r, 407, nil); !errors.Is(err, ErrNotConnect) {
		t.Error(err)
	}
}
