package conn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A client that closes its direction and reads on gets what was written: responses that are
// complete, and as much as there is of another. That one fails.
func TestOutputForHalfClosedClient(t *testing.T) {
	for name, openToo := range map[string]bool{"all complete": false, "one open": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(t, core.Server, Config{}, memconn.Options{Buffer: 200})
				p.greet()
				a := p.open(h2test.Get(1))
				var b *Stream
				if openToo {
					b = p.open(h2test.Get(3))
				}
				const size = 16 << 10
				check(t, "Reply", a.Reply(status2(200), pattern(1, 2*size), nil))
				a.Release()
				want := []any{
					h2test.Response(1, 200), h2test.Data(1, string(pattern(1, 2*size)[:size])),
					h2test.DataEnd(1, string(pattern(1, 2*size)[size:])),
				}
				if openToo {
					check(t, "WriteHeaders", b.WriteHeaders(status2(200), false))
					want = append(want, h2test.Response(3, 200))
				} else {
					want = append(want, h2test.Ping("sluiceby")) // which ends each connection without a fault
				}
				p.c.FlushNoWait()
				synctest.Wait()
				_ = p.nc.CloseWrite()
				synctest.Wait()
				p.wantServing("the client has not read it")
				p.want("what was written", want...)
				if err := p.wantServed("all was read"); (err != nil) != openToo {
					t.Errorf("Serve returned %v", err)
				}
				if openToo {
					if b.Err() == nil {
						t.Error("the open stream is alive")
					}
					b.Release()
				}
			})
		})
	}
}

// One that reads nothing is given up after a while, and one that has gone at once.
func TestOutputForGoneClient(t *testing.T) {
	for name, gone := range map[string]bool{"reads nothing": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(t, core.Server, Config{}, memconn.Options{Buffer: 200})
				p.greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20})
				st := p.open(h2test.Get(1))
				check(t, "Reply", st.Reply(status2(200), make([]byte, 1<<10), nil))
				st.Release()
				p.c.FlushNoWait()
				synctest.Wait()
				_ = p.nc.CloseWrite()
				if gone {
					_ = p.nc.Close()
				} else {
					time.Sleep(defaultLingerTimeout - tick)
					synctest.Wait()
					p.wantServing("there is time left")
					time.Sleep(2 * tick)
				}
				_ = p.wantServed("it is given up") // for which of several reasons does not matter
				_ = p.nc.Close()
			})
		})
	}
}
