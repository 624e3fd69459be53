package conn

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/memconn"
)

// Data goes both ways through two tunnels one behind the other, with nothing but io.Copy, half
// closes included.
func TestTunnelRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := func(handler func(*Tunnel)) (*pair, *Tunnel) {
			cn, sn := testEnds(t, memconn.Options{})
			p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
				if err := st.WriteHeaders(status2(200), false); err != nil {
					t.Error(err)
				}
				done := make(chan bool)
				handler(NewTunnel(st, func() { close(done) }))
				<-done
			})
			st, err := p.client.OpenRequest(&Request{Fields: connectTo(0).Fields})
			check(t, "OpenRequest", err)
			_, err = headOf(st)
			check(t, "Head", err)
			return p, NewTunnel(st, nil)
		}
		far, farEnd := pipe(func(tun *Tunnel) {
			all, err := io.ReadAll(tun)
			check(t, "ReadAll", err)
			_, err = tun.Write(all)
			check(t, "Write", err)
			check(t, "Close", tun.Close())
		})
		near, nearEnd := pipe(func(tun *Tunnel) {
			there := make(chan error)
			go func() {
				_, err := io.Copy(farEnd, tun)
				_ = farEnd.CloseWrite()
				there <- err
			}()
			_, err := io.Copy(tun, farEnd)
			check(t, "back", err)
			check(t, "there", <-there)
			check(t, "Close", tun.Close())
			check(t, "Close", farEnd.Close())
		})
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go func() {
			_, err := nearEnd.ReadFrom(bytes.NewReader(body))
			if err == nil {
				err = nearEnd.CloseWrite()
			}
			if err != nil {
				t.Error(err)
			}
		}()
		var got bytes.Buffer
		n, err := nearEnd.WriteTo(&got)
		if err != nil || n != int64(len(body)) || !bytes.Equal(got.Bytes(), body) {
			t.Errorf("%d octets have come back, %v", n, err)
		}
		check(t, "Close", nearEnd.Close())
		near.wantClean()
		far.wantClean()
	})
}
