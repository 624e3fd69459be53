package conn

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Where the system does not know what has arrived, a peer in good order answers the PING behind the
// last frame: the connection is closed a second later, or when the peer closes it.
func TestLingerAsksThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1))
		p.c.Shutdown()
		p.wantDrain("shutdown", 1)
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		st.Release()
		p.c.Flush()
		p.want("the answer", h2test.Response(1, 200).End(), h2test.Ping("sluiceby"))
		time.Sleep(defaultLingerTimeout - tick)
		p.wantServing("the peer is slow")
		p.send(h2test.Ping("slow"), h2test.WindowUpdate(0, 1))
		time.Sleep(defaultLingerTimeout - tick)
		p.wantServing("it has said something")
		p.send(h2test.PingAck("sluiceby"))
		time.Sleep(lingerTime - tick)
		p.wantServing("it may close first")
		time.Sleep(2 * tick)
		if err := p.wantServed("all has arrived"); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// A peer that says nothing is not waited for beyond WriteByteTimeout.
func TestLingerWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{WriteByteTimeout: 7 * time.Second})
		st := p.open(h2test.Get(1))
		p.c.Shutdown()
		p.wantDrain("shutdown", 1)
		check(t, "Reply", st.Reply(status2(200), nil, nil))
		st.Release()
		p.c.Flush()
		synctest.Wait()
		time.Sleep(7*time.Second - tick)
		p.wantServing("there is time left")
		time.Sleep(2 * tick)
		if err := p.wantServed("it is over"); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// noHalf is a connection without CloseWrite.
type noHalf struct{ net.Conn }

// Without CloseWrite a connection lingers as well, and so does one whose deadlines do nothing.
func TestLingerWithoutCloseWrite(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"no CloseWrite": func(nc net.Conn) net.Conn { return noHalf{nc} },
		"no deadlines":  func(nc net.Conn) net.Conn { return idleDeadlines{noHalf{nc}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cn, sn := smallTCPPair(t)
			const size = 2 << 20
			h := handlerFunc(func(st *Stream) {
				st.c.Shutdown()
				_ = st.Reply(status2(200), make([]byte, size), nil)
			})
			readSlowly(t, cn, wrap(sn), Config{}, h, size, 2*lingerTime+lingerTime/2)
		})
	}
}

type idleDeadlines struct{ noHalf }

func (idleDeadlines) SetDeadline(time.Time) error      { return nil }
func (idleDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (idleDeadlines) SetWriteDeadline(time.Time) error { return nil }

func TestPingFinder(t *testing.T) {
	ours := frame.Ping{Ack: true, Data: lingerPing}
	before := frame.Data{StreamID: 1, Data: make([]byte, 100)}.Append(nil)
	before = frame.Ping{Ack: true, Data: [8]byte{1}}.Append(before)
	before = frame.Ping{Data: lingerPing}.Append(before)
	before = frame.WindowUpdate{Increment: 5}.Append(before)
	before = frame.Settings{Ack: true}.Append(before)
	all := ours.Append(before)
	for size := 1; size <= len(all); size++ {
		var f pingFinder
		for at := 0; at < len(all); at += size {
			end := min(at+size, len(all))
			if found := f.find(all[at:end]); found != (end == len(all)) {
				t.Fatalf("in pieces of %d octets: found is %v after %d", size, found, end)
			}
		}
	}
}
