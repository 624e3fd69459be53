package server

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// tlsTestServer is a server on TLS, and a client's configuration that trusts it.
type tlsTestServer struct {
	t      *testing.T
	srv    *Server
	l      *memconn.Listener
	client *tls.Config
	logs   *syncBuffer
	served chan error
}

func newTLSTestServer(t *testing.T, srv *Server) *tlsTestServer {
	t.Helper()
	cert, err := selfsigned.Certificate("example.test")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	s := &tlsTestServer{t: t, srv: srv, l: memconn.Listen(clearLink(t)), logs: &syncBuffer{}, served: make(chan error, 1)}
	s.client = &tls.Config{RootCAs: roots, ServerName: "example.test"}
	if srv.TLSConfig == nil {
		srv.TLSConfig = &tls.Config{}
	}
	srv.TLSConfig.Certificates = []tls.Certificate{cert}
	srv.ErrorLog = log.New(s.logs, "", 0)
	go func() { s.served <- srv.ServeTLS(s.l, "", "") }()
	return s
}

// dial connects with the given ALPN protocols.
func (s *tlsTestServer) dial(protos ...string) (*tls.Conn, error) {
	nc, err := s.l.Dial(s.t.Context(), "", "")
	if err != nil {
		return nil, err
	}
	config := s.client.Clone()
	config.NextProtos = protos
	c := tls.Client(nc, config)
	if err := c.Handshake(); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (s *tlsTestServer) mustDial(protos ...string) *tls.Conn {
	s.t.Helper()
	c, err := s.dial(protos...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *tlsTestServer) stop() {
	s.t.Helper()
	_ = s.srv.Close()
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		s.t.Errorf("ServeTLS: %v", err)
	}
}

func tlsHandler(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Proto)
	if r.TLS != nil {
		_, _ = io.WriteString(w, " "+r.TLS.ServerName+" "+r.TLS.NegotiatedProtocol)
	}
}

func TestALPN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st states
		srv := serving(tlsHandler)
		srv.ConnState = st.note
		s := newTLSTestServer(t, srv)
		c := s.mustDial("h2", "http/1.1")
		p := peerOn(t, c)
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.get(1)
		synctest.Wait()
		if got := p.take(); !slices.Contains(got, `DATA 1 "HTTP/2.0 example.test h2" END_STREAM`) {
			t.Errorf("h2: %q", got)
		}
		_ = c.Close()
		synctest.Wait()
		for _, protos := range [][]string{{"http/1.1"}, nil} {
			c := s.mustDial(protos...)
			want := "200 OK HTTP/1.1 example.test " + strings.Join(protos, "")
			if got := http1(t, c, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"); got != want {
				t.Errorf("%q: %s", protos, got)
			}
			_ = c.Close()
			synctest.Wait()
		}
		st.want(
			t,
			"0 new",
			"0 active",
			"0 idle",
			"0 active",
			"0 idle",
			"0 closed",
			"1 new",
			"1 active",
			"1 idle",
			"1 closed",
			"2 new",
			"2 active",
			"2 idle",
			"2 closed",
		)
		for i, nc := range st.conns {
			if _, ok := nc.(*tls.Conn); !ok {
				t.Errorf("connection %d is a %T", i, nc)
			}
		}
		s.stop()
	})
}

func TestALPNWithoutHTTP2(t *testing.T) {
	var only1, only2 http.Protocols
	only1.SetHTTP1(true)
	only2.SetHTTP2(true)
	for name, c := range map[string]struct {
		adjust func(*Server)
		offers []string
		want   string
	}{
		"HTTP/1.1 only": {func(s *Server) { s.Protocols = &only1 }, []string{"h2", "http/1.1"}, "http/1.1"},
		"HTTP/2 only":   {func(s *Server) { s.Protocols = &only2 }, []string{"http/1.1", "h2"}, "h2"},
		"empty TLSNextProto": {
			func(s *Server) { s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} },
			[]string{"h2", "http/1.1"},
			"http/1.1",
		},
		"other in TLSConfig": {
			func(s *Server) { s.TLSConfig = &tls.Config{NextProtos: []string{"foo"}} }, []string{"foo", "h2"}, "foo",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(okHandler)
				c.adjust(srv)
				s := newTLSTestServer(t, srv)
				tc := s.mustDial(c.offers...)
				if got := tc.ConnectionState().NegotiatedProtocol; got != c.want {
					t.Errorf("negotiated %q, want %q", got, c.want)
				}
				_ = tc.Close()
				s.stop()
			})
		})
	}
}

func TestOtherProtocolOfTLSNextProto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.TLSConfig = &tls.Config{NextProtos: []string{"foo"}}
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			"foo": func(_ *http.Server, c *tls.Conn, _ http.Handler) { _, _ = io.WriteString(c, "foo!") },
		}
		s := newTLSTestServer(t, srv)
		c := s.mustDial("foo")
		if got, err := io.ReadAll(c); string(got) != "foo!" {
			t.Errorf("%q, %v", got, err)
		}
		_ = c.Close()
		s.stop()
	})
}

func TestInadequateSecurity(t *testing.T) {
	bad := tls.TLS_RSA_WITH_AES_128_GCM_SHA256 // no forward secrecy, so prohibited; it needs an RSA certificate
	for _, c := range []struct {
		name   string
		state  tls.ConnectionState
		permit bool
		ok     bool
	}{
		{"TLS 1.3", tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}, false, true},
		{
			"TLS 1.2",
			tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
			false, true,
		},
		{"prohibited", tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: bad}, false, false},
		{"permitted", tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: bad}, true, true},
		{
			"TLS 1.1",
			tls.ConnectionState{Version: tls.VersionTLS11, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
			true,
			false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := inadequateTLS(&c.state, c.permit); (got == "") != c.ok {
				t.Errorf("refused: %q", got)
			}
			synctest.Test(t, func(t *testing.T) {
				c.state.NegotiatedProtocol = "h2"
				srv := serving(okHandler)
				srv.PermitProhibitedCipherSuites = c.permit
				srv.ErrorLog = log.New(io.Discard, "", 0)
				client, server := memconn.Connect(clearLink(t))
				go srv.ServeConn(&stateConn{memconn.Below(server), c.state})
				p := peerOn(t, client)
				p.write(frame.AppendSettings([]byte(frame.Preface)))
				p.get(1)
				synctest.Wait()
				got := p.take()
				refused := len(got) > 0 && strings.HasPrefix(got[0], "GOAWAY 0 INADEQUATE_SECURITY")
				if refused == c.ok {
					t.Errorf("%q", got)
				}
				_ = client.Close()
			})
		})
	}
}

// stateConn is a connection that says it is TLS.
type stateConn struct {
	*memconn.Conn
	state tls.ConnectionState
}

func (c *stateConn) ConnectionState() tls.ConnectionState { return c.state }

// TestServeConnWithState: a connection that is not of crypto/tls, over which some TLS runs
// nevertheless.
func TestServeConnWithState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := tls.ConnectionState{Version: tls.VersionTLS13, ServerName: "example.test"}
		client, server := memconn.Connect(clearLink(t))
		go serving(tlsHandler).ServeConn(&stateConn{memconn.Below(server), state})
		p := peerOn(t, client)
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.get(1)
		synctest.Wait()
		if got := p.take(); !slices.Contains(got, `DATA 1 "HTTP/2.0 example.test " END_STREAM`) {
			t.Errorf("HTTP/2: %q", got)
		}
		_ = client.Close()

		client, server = memconn.Connect(clearLink(t))
		done := make(chan struct{})
		go func() {
			defer close(done)
			serving(tlsHandler).ServeConn(&stateConn{memconn.Below(server), state})
		}()
		if got := http1(t, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK HTTP/1.1 example.test " {
			t.Errorf("HTTP/1.1: %s", got)
		}
		_ = client.Close()
		<-done
	})
}

func TestCipherSuitesAreChecked(t *testing.T) {
	lacking := &tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}}
	if err := (&Server{TLSConfig: lacking}).ServeTLS(memconn.Listen(clearLink(t)), "", ""); !errors.Is(
		err,
		errNoMandatorySuite,
	) {
		t.Errorf("ServeTLS: %v", err)
	}
	if err := Configure(&http.Server{TLSConfig: lacking}, nil); !errors.Is(err, errNoMandatorySuite) {
		t.Errorf("Configure: %v", err)
	}
	for _, good := range []*tls.Config{
		nil,
		{},
		{CipherSuites: lacking.CipherSuites, MinVersion: tls.VersionTLS13},
		{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
	} {
		if err := checkSuites(good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestBadHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		s := newTLSTestServer(t, srv)
		nc, _ := s.l.Dial(t.Context(), "", "")
		_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Errorf("HTTP on the HTTPS port: %v, %v", resp, err)
		}
		_ = nc.Close()

		start := time.Now()
		nc, _ = s.l.Dial(t.Context(), "", "")
		if _, err := io.ReadAll(nc); err != nil {
			t.Errorf("silent client: %v", err)
		}
		if d := time.Since(start); d != closesAfter(45*time.Second) {
			t.Errorf("silent client was closed after %v", d)
		}
		_ = nc.Close()
		synctest.Wait()
		for _, want := range []string{"client sent an HTTP request to an HTTPS server", "i/o timeout"} {
			if !strings.Contains(s.logs.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, s.logs)
			}
		}
		s.stop()
	})
}

func TestPanicInTLSCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.TLSConfig = &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("oh") },
		}
		s := newTLSTestServer(t, srv)
		if _, err := s.dial("h2"); err == nil {
			t.Error("handshake without error")
		}
		synctest.Wait()
		if got := s.logs.String(); !strings.Contains(got, "panic serving client:1: oh") {
			t.Errorf("logged:\n%s", got)
		}
		s.stop()
	})
}

func TestMissingCertificate(t *testing.T) {
	l := memconn.Listen(clearLink(t))
	if err := (&Server{}).ServeTLS(l, "no-such-file", "no-such-file"); err == nil {
		t.Error("no error")
	}
}
