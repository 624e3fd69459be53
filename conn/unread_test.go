package conn

import (
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"

	"github.com/sluice-go/sluice/internal/h2test"
)

// unreadTest is a connection on which many bodies are sent at once to one goroutine, which reads
// them in some order.
type unreadTest struct {
	name    string
	cfg     Config // of the side that reads
	streams int
	size    int // of each body
	random  bool
}

// windows is a Config with these sizes, in octets.
func windows(unread, conn, stream int) Config {
	return Config{
		MaxUnreadPerConnection: unread, MaxReceiveBufferPerConnection: conn, MaxReceiveBufferPerStream: stream,
	}
}

var unreadTests = []unreadTest{
	{"in order", windows(2<<20, 512<<10, 256<<10), 40, 512 << 10, false},
	{"in order, windows grow", Config{MaxUnreadPerConnection: 1 << 20}, 40, 1 << 20, false},
	{"random", windows(1<<20, 256<<10, 300_000), 30, 600_000, true},
	{"many streams", Config{MaxUnreadPerConnection: 3 << 20}, 100, 128 << 10, true},
	{"little may lie unread", Config{MaxUnreadPerConnection: 1}, 20, 300_000, true},
	{"small windows", windows(1, 1, 1000), 90, 10_000, true},
	{"large windows", Config{MaxUnreadPerConnection: 100_000, MaxReceiveBufferPerStream: 1<<31 - 1}, 10, 1 << 20, true},
}

// bound is how much may lie unread: what may come before the windows are small, and what they allow
// then.
func (tt *unreadTest) bound() int64 {
	cc := tt.cfg.core(0)
	small := max(min(cc.MaxUnread/256, 65535), 16<<10)
	return cc.MaxUnread + int64(cc.ConnWindow) + int64(cc.WindowGrowth) + int64(tt.streams)*small
}

// read reads all of the bodies, from one goroutine, and checks what lies unread meanwhile.
func (tt *unreadTest) read(t *testing.T, c *Conn, bodies []*Stream) {
	rnd := rand.New(rand.NewPCG(7, uint64(len(tt.name))))
	left := make([]int, len(bodies))
	open := make([]int, len(bodies))
	for i := range bodies {
		left[i], open[i] = tt.size, i
	}
	buf := make([]byte, 70_000)
	for len(open) > 0 {
		k, n := 0, len(buf)
		if tt.random {
			k, n = rnd.IntN(len(open)), 1+rnd.IntN(len(buf))
		}
		st := bodies[open[k]]
		_ = st.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := st.Read(buf[:n])
		if left[open[k]] -= n; err == io.EOF && left[open[k]] == 0 {
			open = append(open[:k], open[k+1:]...)
			continue
		}
		if err != nil {
			t.Fatalf("body %d with %d octets left: %v", open[k], left[open[k]], err)
		}
		if unread := c.Stats().Unread; unread > tt.bound() {
			t.Fatalf("%d octets lie unread, more than %d", unread, tt.bound())
		}
	}
}

// Bodies that are not read never keep the one waiting that is, in either direction, and take
// memory within bounds.
func TestUnreadBodiesAreNotInTheWay(t *testing.T) {
	for _, tt := range unreadTests {
		for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
			o := memconn.Options{Latency: latency}
			for way, run := range map[string]func(*unreadTest, *testing.T, memconn.Options){
				"download": (*unreadTest).download, "upload": (*unreadTest).upload,
			} {
				t.Run(tt.name+" "+way+" "+latency.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { run(&tt, t, o) })
				})
			}
		}
	}
}

func (tt *unreadTest) download(t *testing.T, o memconn.Options) {
	cn, sn := memconn.Pipe(o)
	p := newPair(t, cn, sn, tt.cfg, Config{}, func(st *Stream) {
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		if err := st.Finish(make([]byte, tt.size), nil); err != nil {
			t.Errorf("Finish: %v", err)
		}
	})
	bodies := make([]*Stream, tt.streams)
	for i := range bodies {
		st, err := openStream(p.client, h2test.Get(0).Fields, true)
		check(t, "OpenStream", err)
		p.client.Flush()
		_, err = headOf(st)
		check(t, "Head", err)
		bodies[i] = st
	}
	time.Sleep(time.Second) // as much comes as may
	tt.read(t, &p.client.Conn, bodies)
	for _, st := range bodies {
		st.Release()
	}
	p.wantClean()
}

func (tt *unreadTest) upload(t *testing.T, o memconn.Options) {
	cn, sn := memconn.Pipe(o)
	came := make(chan *Stream, tt.streams)
	var done sync.WaitGroup
	done.Add(1)
	p := newPair(t, cn, sn, Config{}, tt.cfg, func(st *Stream) {
		came <- st
		done.Wait()
		check(t, "WriteHeaders", st.WriteHeaders(status2(204), true))
	})
	var sent sync.WaitGroup
	for range tt.streams {
		st, err := openStream(p.client, h2test.Post(0).Fields, false)
		check(t, "OpenStream", err)
		sent.Go(func() {
			if err := st.Finish(make([]byte, tt.size), nil); err != nil {
				t.Errorf("Finish: %v", err)
			}
			p.client.Flush()
			_, err := headOf(st)
			check(t, "Head", err)
			st.Release()
		})
	}
	p.client.Flush()
	bodies := make([]*Stream, tt.streams)
	for i := range bodies {
		bodies[i] = <-came
	}
	time.Sleep(time.Second) // as much comes as may
	tt.read(t, &p.server.Conn, bodies)
	done.Done()
	sent.Wait()
	p.wantClean()
}

// When what lay unread is read, the windows are as large as before.
func TestWindowsGrowBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := unreadTest{"", windows(1<<20, 0, 512<<10), 10, 1 << 20, false}
		cn, sn := memconn.Pipe(memconn.Options{})
		p := newPair(t, cn, sn, tt.cfg, Config{}, func(st *Stream) {
			check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
			_ = st.Finish(make([]byte, tt.size), nil)
		})
		window := func() uint32 { return p.server.PeerSettings().InitialWindowSize }
		begin := func(n int) (bodies []*Stream) {
			for range n {
				st, err := openStream(p.client, h2test.Get(0).Fields, true)
				check(t, "OpenStream", err)
				p.client.Flush()
				_, err = headOf(st)
				check(t, "Head", err)
				bodies = append(bodies, st)
			}
			synctest.Wait()
			return bodies
		}
		end := func(bodies []*Stream) {
			tt.read(t, &p.client.Conn, bodies)
			for _, st := range bodies {
				st.Release()
			}
		}
		for range 3 {
			bodies := begin(tt.streams)
			if w := window(); w != 16<<10 {
				t.Errorf("the initial window is %d while more than 1 MiB lies unread", w)
			}
			end(bodies)
			time.Sleep(time.Minute)
			end(begin(1))
			if w := window(); w != 512<<10 {
				t.Errorf("the initial window is %d when all is read", w)
			}
		}
		if n := p.server.Stats().SettingsIn; n != 7 {
			t.Errorf("%d times SETTINGS", n)
		}
		p.wantClean()
	})
}
