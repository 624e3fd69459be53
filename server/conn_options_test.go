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
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

type connOptionsKey struct{}

// What one connection has of its own holds there, and not on others of the same Server.
func TestServeConnWith(t *testing.T) {
	for _, way := range connKinds {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := func(who string) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						_, is := r.Context().Value(http.ServerContextKey).(*http.Server)
						fmt.Fprintf(w, "%s %s %v %t", who, r.Proto, r.Context().Value(connOptionsKey{}), is)
					}
				}
				srv := &Server{Handler: handler("all"), ErrorLog: log.New(io.Discard, "", 0)}
				own := ConnOptions{
					Context: context.WithValue(t.Context(), connOptionsKey{}, "value"),
					Handler: handler("own"),
					Config:  &Config{EarlyData: EarlyDataAllow},
				}
				proto := "HTTP/2.0"
				if way.http1 {
					proto = "HTTP/1.1"
				}
				early := []string{"early-data", "1"}
				for _, c := range []struct {
					name, want string
					o          ConnOptions
					fields     []string
				}{
					{"nothing", "all " + proto + " <nil> true", ConnOptions{}, nil},
					{"all", "own " + proto + " value true", own, early},
					{"a handler", "own " + proto + " <nil> true", ConnOptions{Handler: own.Handler}, nil},
					{"its own settings", "all " + proto + " <nil> true", ConnOptions{Config: own.Config}, early},
					{"the server's settings", "425", ConnOptions{Handler: own.Handler}, early},
				} {
					got, err := way.ask(t, srv, c.o, 0, "/", c.fields...)
					if err != nil || !strings.Contains(got, c.want) {
						t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
					}
				}
			})
		})
	}
}

// Wherever the octets are cut that were read before, they are served as if they came from
// the connection.
func TestServeConnWithReceived(t *testing.T) {
	for _, way := range connKinds {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(okHandler)
				want := "\r\n\r\nok"
				if !way.http1 {
					want = strings.Join(ok(1), "; ")
				}
				length := len(way.request(&peer{t: t, codec: h2test.NewCodec()}, "/"))
				for given := 0; given <= length; given++ {
					if way.tls && given%7 != 0 && given != len(frame.Preface) {
						continue // a handshake costs
					}
					got, err := way.ask(t, srv, ConnOptions{}, given, "/")
					if err != nil || !strings.Contains(got, want) {
						t.Errorf("%d octets given: %q, %v", given, got, err)
					}
				}
			})
		})
	}
}

// More than a buffer holds may have been received; the caller may use its memory again.
func TestServeConnWithMuchReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		})
		client, server := memconn.Connect(anyLink(t))
		p := peerOn(t, client)
		b := frame.AppendSettings([]byte(frame.Preface))
		b = p.codec.Append(b, p.request(1, "POST", "/", false))
		const frames = 28
		for i := range frames {
			b = frame.Data{StreamID: 1, Data: make([]byte, 16<<10), EndStream: i == frames-1}.Append(b)
		}
		last := b[len(b)-1:]
		given := slices.Clone(b[:len(b)-1])
		served := make(chan error, 1)
		go func() { served <- srv.ServeConnWith(server, ConnOptions{Received: given}) }()
		synctest.Wait()
		clear(given)
		p.write(last)
		synctest.Wait()
		if got := p.take(); !slices.Contains(got, fmt.Sprintf(`DATA 1 "%d <nil>" END_STREAM`, frames*16<<10)) {
			t.Errorf("%q", got)
		}
		_ = client.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// Settings of a connection are what its client gets; what they leave out comes from the Server's
// HTTP2 field.
func TestServeConnWithConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.MaxConcurrentStreams = 7
		srv.HTTP2 = &http.HTTP2Config{MaxReadFrameSize: 20000, MaxConcurrentStreams: 8}
		streams := func(o ConnOptions) (n [2]uint32) {
			t.Helper()
			client, server := memconn.Connect(anyLink(t))
			served := make(chan error, 1)
			go func() { served <- srv.ServeConnWith(server, o) }()
			_, _ = client.Write(frame.AppendSettings([]byte(frame.Preface)))
			b := make([]byte, 4096)
			k, err := io.ReadAtLeast(client, b, frame.HeaderLen+6)
			if err != nil {
				t.Fatal(err)
			}
			h, payload, _, err := frame.Split(b[:k], frame.MaxMaxFrameSize)
			if err != nil {
				t.Fatal(err)
			}
			f, err := frame.ParseSettings(h, payload)
			if err != nil {
				t.Fatal(err)
			}
			for s := range f.All() {
				switch s.ID {
				case frame.SettingMaxConcurrentStreams:
					n[0] = s.Value
				case frame.SettingMaxFrameSize:
					n[1] = s.Value
				}
			}
			_ = client.Close()
			<-served
			return n
		}
		cfg := &Config{MaxConcurrentStreams: 9}
		for name, c := range map[string]struct {
			cfg  *Config
			want [2]uint32
		}{
			"the Server's": {nil, [2]uint32{7, 20000}},
			"its own":      {cfg, [2]uint32{9, 20000}},
			"zero":         {&Config{}, [2]uint32{8, 20000}},
		} {
			if got := streams(ConnOptions{Config: c.cfg}); got != c.want {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		if cfg.MaxReadFrameSize != 0 {
			t.Error("the caller's Config was changed")
		}
	})
}

// servers that have per-connection options, each serving one connection.
var connServers = map[string]func(t *testing.T, nc net.Conn, o ConnOptions){
	"x/net": func(t *testing.T, nc net.Conn, o ConnOptions) {
		hs := &http.Server{ErrorLog: log.New(io.Discard, "", 0)} //nolint:gosec // it never listens
		h2 := &http2.Server{}
		if err := http2.ConfigureServer(hs, h2); err != nil { // so that it shares no channel with other bubbles
			t.Error(err)
		}
		so := &http2.ServeConnOpts{Context: o.Context, Handler: o.Handler, BaseConfig: hs}
		so.SawClientPreface = string(o.Received) == frame.Preface
		if r := o.UpgradeRequest; r != nil {
			so.UpgradeRequest = r
			so.Settings, _ = upgradeSettings(r)
		}
		h2.ServeConn(nc, so)
	},
	"ours": func(t *testing.T, nc net.Conn, o ConnOptions) {
		err := (&Server{ErrorLog: log.New(io.Discard, "", 0)}).ServeConnWith(nc, o)
		var ce *frame.ConnError // the client may leave
		if err != nil && (!errors.As(err, &ce) || ce.Code != frame.NoError) {
			t.Errorf("ServeConnWith: %v", err)
		}
	},
}

// The end of the context ends the contexts of requests, present and future ones, and nothing else.
func TestServeConnWithContextEnds(t *testing.T) {
	for name, serve := range connServers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("moved")
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
					fmt.Fprintf(w, "%v, %v", r.Context().Err(), context.Cause(r.Context()))
				})
				client, server := memconn.Connect(anyLink(t))
				p := peerOn(t, client)
				over := make(chan struct{})
				go func() {
					serve(t, server, ConnOptions{Context: ctx, Handler: h})
					close(over)
				}()
				p.write(frame.AppendSettings([]byte(frame.Preface)))
				p.get(1, 3)
				synctest.Wait()
				p.take()
				cancel(why)
				synctest.Wait()
				const want = `DATA %d "context canceled, moved"`
				got := strings.Join(p.take(), "; ")
				for _, id := range []uint32{1, 3} {
					if w := fmt.Sprintf(want, id); !strings.Contains(got, w) {
						t.Errorf("%q is not in %q", w, got)
					}
				}
				p.get(5)
				synctest.Wait()
				got = strings.Join(p.take(), "; ")
				if !strings.Contains(got, fmt.Sprintf(want, 5)) || strings.Contains(got, "closed") {
					t.Errorf("a request that comes later: %q", got)
				}
				_ = client.Close()
				<-over
			})
		})
	}
}

// A preface that was read before, and a request that was upgraded, as x/net/http2 has them.
func TestServeConnWithAsXNet(t *testing.T) {
	for name, serve := range connServers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("X-A"))
				})
				begin := func(o ConnOptions, first []byte) (*peer, chan struct{}) {
					o.Handler = h
					client, server := memconn.Connect(clearLink(t))
					p := peerOn(t, client)
					over := make(chan struct{})
					go func() {
						serve(t, server, o)
						close(over)
					}()
					p.write(first)
					return p, over
				}
				check := func(p *peer, over chan struct{}, want string) {
					t.Helper()
					synctest.Wait()
					if got := strings.Join(p.take(), "; "); !strings.Contains(got, want) {
						t.Errorf("%q is not in %q", want, got)
					}
					_ = p.nc.Close()
					<-over
				}
				p, over := begin(ConnOptions{Received: []byte(frame.Preface)}, frame.AppendSettings(nil))
				p.send(p.request(1, "GET", "/preface", true, "x-a", "1"))
				check(p, over, `"GET example.test /preface 1"`)

				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/up", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				r.RequestURI, r.Host = "/up", "example.test"
				for key, value := range map[string]string{
					"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "X-A": "2",
					"HTTP2-Settings": encodeSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 10}),
				} {
					r.Header.Set(key, value)
				}
				p, over = begin(ConnOptions{UpgradeRequest: r}, frame.AppendSettings([]byte(frame.Preface)))
				check(p, over, `DATA 1 "GET exampl"`) // as much as the settings of the request let pass
			})
		})
	}
}

func TestServeConnWithErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve := func(srv *Server, o ConnOptions, send string) error {
			srv.ErrorLog = log.New(io.Discard, "", 0)
			client, server := memconn.Connect(connKind{http1: true}.link(t))
			served := make(chan error, 1)
			go func() { served <- srv.ServeConnWith(server, o) }()
			_, _ = io.WriteString(client, send)
			_ = client.CloseWrite()
			err := <-served
			_, _ = io.Copy(io.Discard, client)
			_ = client.Close()
			if _, err := server.Write([]byte{0}); err == nil {
				t.Error("the connection was not closed")
			}
			return err
		}
		bad, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		closed := serving(okHandler)
		_ = closed.Close()
		for name, c := range map[string]struct {
			srv  *Server
			o    ConnOptions
			send string
			want error
		}{
			"nothing is sent":         {serving(okHandler), ConnOptions{}, "", nil},
			"HTTP/1.1":                {serving(okHandler), ConnOptions{}, "GET / HTTP/1.0\r\n\r\n", nil},
			"neither":                 {serving(okHandler), ConnOptions{}, "EHLO example.test\r\n", errNotServed},
			"no upgrade":              {serving(okHandler), ConnOptions{UpgradeRequest: bad}, "", errBadUpgrade},
			"the server is shut down": {closed, ConnOptions{}, "", http.ErrServerClosed},
		} {
			if err := serve(c.srv, c.o, c.send); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		var ce *frame.ConnError
		err = serve(serving(okHandler), ConnOptions{}, frame.Preface+"no SETTINGS")
		if !errors.As(err, &ce) || ce.Code == frame.NoError {
			t.Errorf("a bad client: %v", err)
		}
	})
}

// A handshake that fails is told, and the end of the context ends one.
func TestServeConnWithHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.ErrorLog = log.New(io.Discard, "", 0)
		ctx, cancel := context.WithCancel(t.Context())
		client, server := memconn.Connect(clearLink(t))
		served := make(chan error, 1)
		go func() { served <- srv.ServeConnWith(tls.Server(server, &tls.Config{}), ConnOptions{Context: ctx}) }()
		synctest.Wait()
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		_ = client.Close()
	})
}

// Upgrade of HTTP/1.1 is a setting of a connection, too.
func TestServeConnWithUpgradeAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, allowed := range []bool{false, true} {
			srv := serving(okHandler)
			srv.AllowH2CUpgrade = !allowed
			client, server := memconn.Connect(connKind{http1: true}.link(t))
			served := make(chan error, 1)
			own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "own "+r.Proto)
			})
			o := ConnOptions{Handler: own, Config: &Config{AllowH2CUpgrade: allowed}}
			go func() { served <- srv.ServeConnWith(server, o) }()
			send := upgrading(encodeSettings(), "")
			if allowed {
				send += string(frame.AppendSettings([]byte(frame.Preface)))
			}
			_, _ = io.WriteString(client, send)
			synctest.Wait()
			b := make([]byte, 4096)
			n, _ := client.Read(b)
			got := string(b[:n])
			if strings.Contains(got, "101 Switching") != allowed || strings.Contains(got, "own HTTP/2.0") != allowed {
				t.Errorf("allowed %t: %q", allowed, got)
			}
			_ = client.Close()
			<-served
		}
	})
}
