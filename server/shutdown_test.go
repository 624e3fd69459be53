package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// listening serves srv on a listener and returns a function that connects.
func listening(t *testing.T, srv *Server) (dial func() *peer, served chan error) {
	l := memconn.Listen(anyLink(t))
	served = make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	return func() *peer {
		t.Helper()
		nc, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		p := peerOn(t, nc.(memconn.End))
		p.write(frame.AppendSettings([]byte(frame.Preface)))
		p.write(frame.AppendSettingsAck(nil))
		synctest.Wait()
		return p
	}, served
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/1" {
				<-release
			}
			_, _ = io.WriteString(w, "ok")
		})
		var called atomic.Int32
		srv.RegisterOnShutdown(func() { called.Add(1) })
		dial, served := listening(t, srv)
		idle, busy := dial(), dial()
		busy.deaf = true // its answer to PING is on the way for long
		busy.get(1)
		down := make(chan error)
		go func() { down <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		if called.Load() != 1 {
			t.Error("RegisterOnShutdown's function was not called")
		}
		busy.want("the first step", "GOAWAY 2147483647 NO_ERROR")
		busy.get(3) // was on its way
		time.Sleep(progressInterval)
		busy.want("still served", ok(3)...)
		idle.want("both steps", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 0 NO_ERROR", "closed")
		close(release)
		time.Sleep(time.Minute)
		got := strings.Join(busy.take(), "\n")
		if want := strings.Join(ok(1), "\n"); !strings.Contains(got, want) || !strings.HasSuffix(got, "\nclosed") {
			t.Errorf("the end of the busy connection:\n%s", got)
		}
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := srv.Serve(memconn.Listen(clearLink(t))); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("ListenAndServe after Shutdown: %v", err)
		}
		_, _ = idle.nc.Close(), busy.nc.Close()
	})
}

func TestShutdownHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		dial, served := listening(t, srv)
		p := dial()
		p.get(1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		<-served
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
		if got := p.take(); got[len(got)-1] != "closed" {
			t.Errorf("%q", got)
		}
		_ = p.nc.Close()
	})
}

// TestShutdownWithHTTP1: a request of HTTP/1.1 may finish, too, and a client that says nothing is
// not waited for for ever.
func TestShutdownWithHTTP1(t *testing.T) {
	needsHTTP1(t)
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "slow")
		})
		srv.PrefaceTimeout = -1
		l := memconn.Listen(clearLink(t))
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		busy, _ := l.Dial(t.Context(), "", "")
		silent, _ := l.Dial(t.Context(), "", "")
		_, _ = io.WriteString(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		start := time.Now()
		down := make(chan error)
		go func() { down <- srv.Shutdown(context.Background()) }()
		got, _ := io.ReadAll(busy)
		if !strings.HasSuffix(string(got), "slow") {
			t.Errorf("%q", got)
		}
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(start); d < newConnGrace || d > newConnGrace+2*time.Second {
			t.Errorf("Shutdown took %v", d)
		}
		<-served
		_, _ = busy.Close(), silent.Close()
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		srv.PrefaceTimeout = -1
		l := memconn.Listen(clearLink(t))
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		var conns []net.Conn
		for _, send := range []string{
			frame.Preface + string(frame.AppendSettings(nil)), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "",
		} {
			nc, _ := l.Dial(t.Context(), "", "")
			_, _ = io.WriteString(nc, send)
			conns = append(conns, nc)
		}
		synctest.Wait()
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		for _, nc := range conns {
			if _, err := io.ReadAll(nc); err != nil {
				t.Errorf("client: %v", err)
			}
			_ = nc.Close()
		}
	})
}

func TestKeepAlivesDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		dial, served := listening(t, srv)
		used, fresh := dial(), dial()
		used.get(1)
		used.want("an answer", ok(1)...)
		srv.SetKeepAlivesEnabled(false)
		used.want("no more", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 1 NO_ERROR", "closed")
		fresh.want("not yet")
		fresh.get(1)
		fresh.want("once", append(ok(1), "GOAWAY 2147483647 NO_ERROR", "GOAWAY 1 NO_ERROR", "closed")...)
		_ = srv.Close()
		<-served
		_, _ = used.nc.Close(), fresh.nc.Close()
	})
}

func TestConnectionCloseOfAHandler(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, "ok")
	}, func(t *testing.T, p *peer) {
		p.get(1)
		p.awaitEnd()
		got := p.take()
		if want := strings.Join(ok(1), "\n"); !strings.Contains(strings.Join(got, "\n"), want) ||
			got[len(got)-1] != "closed" {
			t.Errorf("%q", got)
		}
	})
}

func TestMaxConnectionAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.MaxConnectionAge = time.Minute
		start := time.Now()
		p := newPeer(t, srv)
		<-p.served
		if d := time.Since(start); d < 54*time.Second || d > 67*time.Second {
			t.Errorf("lived for %v", d)
		}
		p.want("drained", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 0 NO_ERROR", "closed")
		_ = p.nc.Close()
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.IdleTimeout = time.Minute
		start := time.Now()
		p := newPeer(t, srv)
		time.Sleep(30 * time.Second)
		p.get(1)
		<-p.served
		if d := time.Since(start); d < 90*time.Second || d > 95*time.Second {
			t.Errorf("lived for %v", d)
		}
		_ = p.nc.Close()
	})
}

// TestShutdownWaitsForHandlers: also for those whose stream was reset, or whose connection is lost.
func TestShutdownWaitsForHandlers(t *testing.T) {
	for name, leave := range map[string]func(p *peer){
		"reset": func(p *peer) { p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel}) },
		"lost":  func(p *peer) { _ = p.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var returned atomic.Bool
				srv := serving(func(_ http.ResponseWriter, _ *http.Request) {
					time.Sleep(10 * time.Second) // whatever its context says
					returned.Store(true)
				})
				dial, served := listening(t, srv)
				p := dial()
				p.get(1)
				time.Sleep(time.Second)
				leave(p)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown with a deadline: %v", err)
				}
				if err := srv.Shutdown(context.Background()); err != nil || !returned.Load() {
					t.Errorf("Shutdown: %v, the handler has returned: %t", err, returned.Load())
				}
				<-served
				if st := srv.Stats(); st.Open != 0 || st.Running != 0 || st.Connections != 1 || st.Requests != 1 {
					t.Errorf("%+v", st)
				}
				_ = p.nc.Close()
			})
		})
	}
}

// TestShutdownOfConfigureWaitsForHandlers is the same through http.Server.
func TestShutdownOfConfigureWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p http.Protocols
		p.SetUnencryptedHTTP2(true)
		var returned atomic.Bool
		hs := &http.Server{Protocols: &p, Handler: http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Second)
			returned.Store(true)
		})}
		if err := Configure(hs, nil); err != nil {
			t.Fatal(err)
		}
		l := memconn.Listen(clearLink(t))
		served := make(chan error, 1)
		go func() { served <- hs.Serve(l) }()
		nc, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		c := peerOn(t, nc.(memconn.End))
		c.write(frame.AppendSettings([]byte(frame.Preface)))
		c.get(1)
		time.Sleep(time.Second)
		_ = c.nc.Close()
		synctest.Wait()
		if err := hs.Shutdown(context.Background()); err != nil || !returned.Load() {
			t.Errorf("Shutdown: %v, the handler has returned: %t", err, returned.Load())
		}
		<-served
	})
}

// TestShutdownTellsTunnels: the context of a handler that has accepted a tunnel ends, also where it
// accepts it later, and no other's does; the tunnel itself goes on.
func TestShutdownTellsTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &transcript{}
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				time.Sleep(10 * time.Second)
				n.add("GET %v", r.Context().Err())
				return
			}
			if r.Host == "late.test:1" {
				time.Sleep(10 * time.Second)
			}
			tunnel, err := AcceptConnect(w)
			if err != nil {
				t.Error(err)
				return
			}
			<-r.Context().Done()
			_, err = io.WriteString(tunnel, "bye")
			n.add("%s %v, %v", r.Host, context.Cause(r.Context()), err)
		})
		dial, served := listening(t, srv)
		p := dial()
		p.send(p.request(1, "CONNECT", "a.test:1", false), p.request(3, "CONNECT", "late.test:1", false))
		p.get(5)
		time.Sleep(time.Second)
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		<-served
		synctest.Wait()
		want := strings.ReplaceAll("[GET <nil> a.test:1 C, <nil> late.test:1 C, <nil>]", "C", http.ErrServerClosed.Error())
		slices.Sort(n.list)
		if got := fmt.Sprint(n.list); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := strings.Join(p.take(), "\n"); strings.Count(got, `"bye"`) != 2 {
			t.Errorf("the client saw:\n%s", got)
		}
		_ = p.nc.Close()
	})
}
