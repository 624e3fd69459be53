//go:build !nethttpomithttp2

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/memconn"
)

// frameCounter is a tracer by which a test knows that this package served.
type frameCounter struct{ n atomic.Int64 }

func (c *frameCounter) TraceFrame(*conn.Conn, conn.FrameTrace) { c.n.Add(1) }

func TestConfigureWithHTTPTest(t *testing.T) {
	var frames frameCounter
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
		if want := map[int]string{1: "http/1.1", 2: "h2"}[r.ProtoMajor]; r.TLS == nil || r.TLS.NegotiatedProtocol != want {
			t.Errorf("TLS of %s: %+v", r.Proto, r.TLS)
		}
	}))
	if err := Configure(ts.Config, &Config{Tracer: &frames}); err != nil {
		t.Fatal(err)
	}
	ts.TLS = &tls.Config{NextProtos: ts.Config.TLSConfig.NextProtos}
	ts.StartTLS()
	defer ts.Close()
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		tr := ts.Client().Transport.(*http.Transport).Clone()
		tr.ForceAttemptHTTP2 = want == "HTTP/2.0"
		if !tr.ForceAttemptHTTP2 {
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		resp, err := (&http.Client{Transport: tr}).Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
		if string(body) != want || resp.Proto != want {
			t.Errorf("%q by %s, want %s", body, resp.Proto, want)
		}
	}
	if frames.n.Load() == 0 {
		t.Error("not served by this package")
	}
}

func TestConfigureTwiceAndNil(t *testing.T) {
	if err := Configure(nil, nil); err == nil {
		t.Error("no error for nil")
	}
	list := make([]string, 1, 10)
	list[0] = "foo"
	hs := &http.Server{TLSConfig: &tls.Config{NextProtos: list}}
	for range 2 {
		if err := Configure(hs, nil); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"foo", "h2", "http/1.1"}, hs.TLSConfig.NextProtos); d != "" {
		t.Error(d)
	}
	if list[:2][1] != "" {
		t.Error("wrote into the caller's array")
	}
}

func TestConfiguredShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st states
		s := newTestServer(t, kindConfigure, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "ok")
		}), func(hs *http.Server) { hs.ConnState = st.note })
		done := make(chan string)
		go func() {
			resp := s.get("/")
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			done <- string(body)
		}()
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle", "0 active")
		if err := s.std.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := <-done; got != "ok" {
			t.Errorf("the request that ran: %q", got)
		}
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		synctest.Wait()
		st.want(t, "0 new", "0 active", "0 idle", "0 active", "0 idle", "0 closed")
		s.client.CloseIdleConnections()
	})
}

func TestConfiguredWithBadHandOver(t *testing.T) {
	logs := &syncBuffer{}
	hs := &http.Server{ErrorLog: log.New(logs, "", 0)}
	if err := Configure(hs, nil); err != nil {
		t.Fatal(err)
	}
	client, server := memconn.Connect(clearLink(t))
	hs.TLSNextProto[protoClear](hs, tls.Server(server, &tls.Config{}), http.NotFoundHandler())
	if _, err := io.ReadAll(client); err != nil {
		t.Error(err)
	}
	if !strings.Contains(logs.String(), "came without one") {
		t.Errorf("logged %q", logs)
	}
}

func TestSettingsOfBothSources(t *testing.T) {
	count := func(string) {}
	h2 := &http.HTTP2Config{
		MaxConcurrentStreams: 1, MaxDecoderHeaderTableSize: 2, MaxEncoderHeaderTableSize: 3, MaxReadFrameSize: 4,
		MaxReceiveBufferPerConnection: 5, MaxReceiveBufferPerStream: 6, SendPingTimeout: 7, PingTimeout: 8,
		WriteByteTimeout: 9, PermitProhibitedCipherSuites: true, CountError: count,
	}
	ignore := cmpopts.IgnoreFields(Config{}, "CountError", "Scheduler", "Tracer", "Limits")
	got := Config{}.withHTTP2Config(h2)
	want := Config{
		MaxConcurrentStreams: 1, MaxDecoderHeaderTableSize: 2, MaxEncoderHeaderTableSize: 3, MaxReadFrameSize: 4,
		MaxReceiveBufferPerConnection: 5, MaxReceiveBufferPerStream: 6, SendPingTimeout: 7, PingTimeout: 8,
		WriteByteTimeout: 9, PermitProhibitedCipherSuites: true,
	}
	if d := cmp.Diff(want, got, ignore); d != "" || got.CountError == nil {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := (Config{MaxConcurrentStreams: 100}).withHTTP2Config(h2); got.MaxConcurrentStreams != 100 ||
		got.MaxReadFrameSize != 4 {
		t.Errorf("Config comes first: %+v", got)
	}
	if got := (Config{MaxConcurrentStreams: 100}).withHTTP2Config(nil); got.MaxConcurrentStreams != 100 {
		t.Errorf("%+v", got)
	}
}

func TestTimeoutsOfHTTPServer(t *testing.T) {
	for _, c := range []struct {
		name         string
		hs           *http.Server
		header, idle time.Duration
		sniff        time.Duration
	}{
		{"none", &http.Server{}, 0, 0, 45 * time.Second},
		{"ReadTimeout", &http.Server{ReadTimeout: 5}, 5, 5, 5},
		{"ReadHeaderTimeout", &http.Server{ReadTimeout: 5, ReadHeaderTimeout: 3}, 3, 5, 3},
		{"negative", &http.Server{ReadTimeout: -1, ReadHeaderTimeout: -1, IdleTimeout: -1}, -1, 0, 0},
		{"IdleTimeout", &http.Server{ReadTimeout: 5, IdleTimeout: 9}, 5, 9, 5},
	} {
		var cfg Config
		cc := cfg.connConfig(c.hs)
		if cc.HeaderTimeout != c.header || cc.IdleTimeout != c.idle {
			t.Errorf("%s: header %v, idle %v", c.name, cc.HeaderTimeout, cc.IdleTimeout)
		}
		if got := cfg.sniffTimeout(c.hs); got != c.sniff {
			t.Errorf("%s: sniff %v", c.name, got)
		}
	}
}

func TestGrowthIsPassedOn(t *testing.T) {
	for _, n := range []int{0, -1, 5} {
		c := Config{MaxReceiveBufferGrowth: n}
		if got := c.connConfig(new(http.Server)).MaxReceiveBufferGrowth; got != n {
			t.Errorf("%d becomes %d", n, got)
		}
	}
}

// SetKeepAlivesEnabled(false) of the http.Server ends connections when their requests are done, as
// with net/http's own HTTP/2.
func TestConfigureKeepAlivesDisabled(t *testing.T) {
	if keepAlivesOffset == 0 {
		t.Fatal("http.Server has no field that says whether keep-alives are disabled")
	}
	for _, ours := range []bool{false, true} {
		t.Run(fmt.Sprint("ours=", ours), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h2c http.Protocols
				h2c.SetUnencryptedHTTP2(true)
				hs := &http.Server{Handler: http.HandlerFunc(okHandler), Protocols: &h2c}
				if ours {
					if err := Configure(hs, nil); err != nil {
						t.Fatal(err)
					}
				}
				l := memconn.Listen(clearLink(t))
				go hs.Serve(l)
				dials := 0
				tr := &http.Transport{Protocols: &h2c}
				tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					return l.Dial(ctx, network, addr)
				}
				get := func() {
					t.Helper()
					resp, err := (&http.Client{Transport: tr}).Get("http://example.com/")
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					time.Sleep(2 * time.Second) // GOAWAY comes, and the connection goes
				}
				for _, c := range []struct {
					on    bool
					dials int // when a request and another have been made
				}{{true, 1}, {false, 2}, {false, 4}, {true, 5}} {
					hs.SetKeepAlivesEnabled(c.on)
					get()
					get()
					if dials != c.dials {
						t.Errorf("%t: %d connections, want %d", c.on, dials, c.dials)
					}
				}
				tr.CloseIdleConnections()
				hs.Close()
			})
		})
	}
}
