package server

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A client that does not read its responses holds up the goroutine that writes them, and no handler
// of requests that come later.
func TestHandlersRunBesideStuckWrite(t *testing.T) {
	for _, d := range []Dispatch{DispatchElastic, DispatchGoroutine} {
		synctest.Test(t, func(t *testing.T) {
			var served atomic.Int32
			srv := serving(func(http.ResponseWriter, *http.Request) { served.Add(1) })
			srv.Dispatch = d
			nc, far := net.Pipe() // a Write waits for the Read
			done := make(chan struct{})
			go func() { srv.ServeConn(far); close(done) }()
			p := &peer{t: t, nc: wholeClose{nc}, codec: h2test.NewCodec()}
			reading := make(chan struct{})
			go func() {
				defer close(reading)
				for buf := make([]byte, 4096); served.Load() == 0; {
					if _, err := nc.Read(buf); err != nil {
						return
					}
				}
			}()
			p.write(append(frame.AppendSettings([]byte(frame.Preface)), frame.AppendSettingsAck(nil)...))
			synctest.Wait()
			for i := range int32(5) {
				p.get(uint32(2*i + 1))
				time.Sleep(10 * progressInterval)
				if n := served.Load(); n != i+1 {
					t.Errorf("%v: %d of %d requests are served while the client does not read", d, n, i+1)
				}
			}
			go func() { _, _ = io.Copy(io.Discard, nc) }()
			synctest.Wait()
			_ = nc.Close()
			<-done
			<-reading
		})
	}
}

// wholeClose is a net.Conn without CloseWrite where one with it is wanted.
type wholeClose struct{ net.Conn }

func (c wholeClose) CloseWrite() error { return c.Close() }
