package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A wait that a context ends leaves the stream as it was, in both roles.
func TestReadContext(t *testing.T) {
	forKinds(t, func(t *testing.T, cn, sn net.Conn) {
		pieces := make(chan string)
		var serverErr error
		p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			buf := make([]byte, 100)
			_, err := st.ReadContext(ctx, buf)
			_, again := st.ReadContext(ctx, buf)
			n, after := st.ReadContext(context.Background(), buf)
			if string(buf[:n]) != "upload" || after != nil {
				err = fmt.Errorf("%q, %w", buf[:n], after)
			}
			serverErr = errors.Join(err, again)
			_ = st.WriteHeaders(status2(200), false)
			st.Conn().Flush()
			for s := range pieces {
				_, _ = st.Write([]byte(s))
				st.Conn().Flush()
			}
			_ = st.Finish([]byte("end"), nil)
			st.Conn().Flush()
		})
		st, err := openStream(p.client, h2test.Post(0).Fields, false)
		check(t, "OpenStream", err)
		p.client.Flush()
		time.Sleep(2 * time.Minute)
		check(t, "Finish", st.Finish([]byte("upload"), nil))
		p.client.Flush()
		_, err = st.HeadContext(t.Context())
		check(t, "HeadContext", err)
		if !errors.Is(serverErr, context.DeadlineExceeded) || errors.Is(serverErr, io.EOF) {
			t.Errorf("on the server: %v", serverErr)
		}

		var got bytes.Buffer
		buf := make([]byte, 5)
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			n, err := st.ReadContext(ctx, buf)
			if d := time.Since(start); n != 0 || !errors.Is(err, context.Canceled) || d != time.Second {
				t.Fatalf("%d, %v, after %v", n, err, d)
			}
			pieces <- "0123456789"
			time.Sleep(time.Second)
			if n, err := st.ReadContext(ctx, buf); n != 0 || !errors.Is(err, context.Canceled) {
				t.Fatalf("a context that was done before: %d, %v", n, err)
			}
			for range 2 {
				n, err := st.ReadContext(t.Context(), buf)
				check(t, "ReadContext", err)
				got.Write(buf[:n])
			}
		}
		close(pieces)
		_, err = got.ReadFrom(st)
		check(t, "Read", err)
		if want := "012345678901234567890123456789end"; got.String() != want {
			t.Errorf("got %q, want %q", &got, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := st.ReadContext(ctx, buf); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		cancel()
		st.Release()
		p.wantClean()
	})
}

// The same for the head of a response, also where its goroutine is the one that reads the socket.
func TestHeadContext(t *testing.T) {
	forKinds(t, func(t *testing.T, cn, sn net.Conn) {
		held := make(chan struct{})
		p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
			if st.HeadOnly() {
				<-held
			}
			echo(st)
		})
		for range 3 {
			for range 10 {
				p.roundTrip([]byte("hello"))
				time.Sleep(backToBackGap / 2)
			}
			st, err := openStream(p.client, h2test.Get(0).Fields, true)
			check(t, "OpenStream", err)
			p.client.FlushNoWait()
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				start := time.Now()
				if _, err := st.HeadContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("HeadContext: %v", err)
				}
				if d := time.Since(start); d != time.Minute {
					t.Errorf("the wait took %v", d)
				}
				cancel()
				p.roundTrip([]byte("the connection is read"))
			}
			held <- struct{}{}
			m, err := st.HeadContext(t.Context())
			check(t, "HeadContext", err)
			if m.Status != 200 || m.Fields[0].Value != fmt.Sprint(st.ID()) {
				t.Errorf("the response is %v", m)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := st.HeadContext(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("a context that was done before: %v", err)
			}
			st.Release()
		}
		p.wantClean()
	})
}

// A request that reads for itself is interrupted when its context is done, and gives the lease up.
func TestHeadContextOfInlineReader(t *testing.T) {
	needsSocket(t)
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		id := p.sendBackToBack()
		ctx, cancel := context.WithCancel(t.Context())
		st := p.openRequest(h2test.Get(id), "")
		k := p.start(func() (int, error) { _, err := st.HeadContext(ctx); return 0, err })
		p.want("the request", h2test.Get(id))
		if _, _, holder := p.lease(); holder != st {
			t.Fatal("the request does not read for itself")
		}
		b := p.codec.Append(nil, h2test.Response(id, 204).End())
		p.send(h2test.Raw(b[:5])) // a part of the head's frame
		k.wantWaiting("not the whole head")
		cancel()
		k.want("at once", 0, context.Canceled)
		if holder, _, _ := p.lease(); holder != leaseServe {
			t.Errorf("the lease is with %v", holder)
		}
		p.send(h2test.Raw(b[5:]))
		k = p.start(func() (int, error) { _, err := st.HeadContext(t.Context()); return 0, err })
		k.want("nothing is lost", 0, nil)
		st.Release()
	})
}

// What has ended the stream comes first, and a context that is done after the call touches nothing.
func TestContextOfDeadStream(t *testing.T) {
	inBothRoles(t, func(t *testing.T, p *testPeer) {
		var st *Stream
		if p.c.role == core.Client {
			st = p.openRequest(h2test.Get(1), "")
			p.want("the request", h2test.Get(1))
			p.send(h2test.Response(1, 200))
		} else {
			p.send(h2test.Post(1))
			st = p.stream(1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		k := p.start(func() (int, error) { return st.ReadContext(ctx, make([]byte, 10)) })
		k.wantWaiting("nothing has come")
		p.send(h2test.RST(1, frame.RefusedStream))
		k.want("reset", 0, frame.RefusedStream)
		st.Release()
		cancel()
		synctest.Wait()
		p.send(h2test.Ping("goes on?"))
		p.want("the connection goes on", h2test.PingAck("goes on?"))
	})
}

// Many callers give up and go on at random times, on sockets: each gets its own message, whole.
func TestContextsOnSockets(t *testing.T) {
	for _, over := range []string{"clear", "TLS", "memory"} {
		t.Run(over, func(t *testing.T) {
			var cn, sn net.Conn
			if over == "memory" {
				cn, sn = testEnds(t, memconn.Options{})
			} else if cn, sn = tcpPair(t); over == "TLS" {
				cn, sn = overTLS(t, cn, sn)
			}
			p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
				body, err := readRandomly(st, uint64(st.ID()))
				if err != nil {
					return
				}
				_ = st.WriteHeaders(status2(200, "id", fmt.Sprint(st.ID())), false)
				st.Conn().Flush()
				_, _ = st.Write(body)
				_ = st.Finish(nil, nil)
			})
			for _, callers := range []int{1, 5} {
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						for k := range 15 {
							if err := p.tryRandomly(bytes.Repeat([]byte{byte(k + i)}, 200*k*k)); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			}
			p.wantClean()
		})
	}
}

// shortContext is done soon, or at once.
func shortContext(r *rand.Rand) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(r.IntN(200))*time.Microsecond)
}

// readRandomly reads a body with contexts that may be done before there is something.
func readRandomly(st *Stream, seed uint64) (body []byte, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 4096)
	for {
		ctx, cancel := shortContext(r)
		if r.IntN(4) == 0 {
			ctx = context.Background()
		}
		n, err := st.ReadContext(ctx, buf)
		body = append(body, buf[:n]...)
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

// tryRandomly sends a body and reads head and body of the response as readRandomly does.
func (p *pair) tryRandomly(body []byte) error {
	st, err := p.client.OpenRequest(&Request{Fields: h2test.Post(0).Fields})
	if err != nil {
		return err
	}
	defer p.client.FlushNoWait()
	defer st.Release()
	sent := make(chan error, 1)
	go func() { // ends with the stream
		err := st.Finish(body, nil)
		p.client.Flush()
		sent <- err
	}()
	r := rand.New(rand.NewPCG(uint64(st.ID()), 2))
	for {
		ctx, cancel := shortContext(r)
		m, err := st.HeadContext(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		if err != nil {
			return errors.Join(err, <-sent)
		}
		if m.Fields[0].Value != fmt.Sprint(st.ID()) {
			return fmt.Errorf("stream %d has the head of another: %v", st.ID(), m.Fields)
		}
		break
	}
	got, err := readRandomly(st, uint64(st.ID()))
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(got, body) {
		return fmt.Errorf("stream %d: sent %d octets, got %d that differ", st.ID(), len(body), len(got))
	}
	return nil
}
