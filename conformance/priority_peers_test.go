package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// A priorityServer records with which priority each path was requested.
type priorityServer struct {
	mu   sync.Mutex
	seen map[string]priority.Params
}

func newPrioritySite() *priorityServer {
	return &priorityServer{seen: make(map[string]priority.Params)}
}

func (s *priorityServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := server.Priority(w)
	if err == nil {
		s.mu.Lock()
		s.seen[r.URL.Path] = p
		s.mu.Unlock()
	}
	_, _ = io.WriteString(w, "hello\n")
}

func (s *priorityServer) of(path string) priority.Params {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[path]
}

// nghttp states places in the tree: weights by -p, and streams of its own below which they are.
func TestNghttpPriority(t *testing.T) {
	site := newPrioritySite()
	ls := startServer(t, false, site)
	out := runNghttp(t, "-v", "-p", "256", "-p", "1", ls.URL+"/a", ls.URL+"/b")
	wantContains(t, "nghttp -v", out, "send PRIORITY frame")
	if strings.Contains(out, "NO_RFC7540_PRIORITIES") {
		t.Errorf("by default the tree is followed, and the server says otherwise:\n%s", clip(out))
	}
	for path, weight := range map[string]uint8{"/a": 255, "/b": 0} {
		if p := site.of(path); !p.Tree || p.Weight != weight || p.DependsOn == 0 || p.Extensible {
			t.Errorf("%s was asked for with %+v, want a place in the tree, with %d as the weight on the wire", path, p, weight)
		}
	}

	runNghttp(t, "-v", "--no-dep", "-p", "9", ls.URL+"/alone")
	if p := site.of("/alone"); p.DependsOn != 0 {
		t.Errorf("--no-dep: %+v", p)
	}

	// "A server that receives SETTINGS_NO_RFC7540_PRIORITIES with a value of 1 MUST ignore HTTP/2
	// priority signals."
	out = runNghttp(t, "-v", "--no-rfc7540-pri", "-p", "256", "-H", "priority: u=1, i", ls.URL+"/none")
	wantContains(t, "nghttp -v --no-rfc7540-pri", out, "NO_RFC7540_PRIORITIES")
	if p, want := site.of("/none"), (priority.Params{Extensible: true, Urgency: 1, Incremental: true}); p != want {
		t.Errorf("--no-rfc7540-pri: %+v, want %+v", p, want)
	}
}

// A server whose scheduler has no use for the tree says so.
func TestNghttpSeesNoTree(t *testing.T) {
	ls := startServer(t, false, newPrioritySite(), func(s *server.Server) { s.Scheduler = priority.NewExtensible })
	out := runNghttp(t, "-v", ls.URL+"/")
	wantContains(t, "nghttp -v", out, "NO_RFC7540_PRIORITIES(0x09):1")
}

func TestCurlPriority(t *testing.T) {
	c := requireCurl(t)
	site := newPrioritySite()
	ls := startServer(t, true, site)
	c.run(t, "--http2", "-H", "priority: u=6, i", ls.URL+"/a")
	if p := site.of("/a"); !p.Extensible || p.Urgency != 6 || !p.Incremental {
		t.Errorf("the request asked for %+v", p)
	}
}

// node states weights, and changes them with PRIORITY.
func TestNodePriority(t *testing.T) {
	node := requirePeer(t, "node", "nodejs")
	asked, changed := make(chan priority.Params, 1), make(chan priority.Params, 1)
	ls := startServer(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := server.Priority(w)
		if r.URL.Path == "/first" {
			asked <- p
			w.(http.Flusher).Flush()
			_, _ = io.Copy(io.Discard, r.Body) // which ends after the change
			p, _ = server.Priority(w)
			changed <- p
		}
	}))
	const script = `
		const http2 = require('http2');
		const c = http2.connect(process.argv[1]);
		const s = c.request({':method': 'POST', ':path': '/first'}, {weight: 100});
		s.on('response', () => { s.priority({weight: 7, parent: 0, silent: false}); s.end('x'); });
		s.resume().on('close', () => c.close());`
	mustRunPeer(t, node, "-e", script, ls.URL)
	if p, want := <-asked, (priority.Params{Tree: true, Weight: 99}); p != want {
		t.Errorf("asked for %+v, want %+v", p, want)
	}
	if p, want := <-changed, (priority.Params{Tree: true, Weight: 6}); p != want {
		t.Errorf("changed to %+v, want %+v", p, want)
	}
}

// priorityFrames counts the signals of either scheme that have come in.
type priorityFrames struct {
	mu                        sync.Mutex
	priority, update, headers int
}

func (c *priorityFrames) TraceFrame(_ *conn.Conn, f conn.FrameTrace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.Direction != conn.In:
	case f.Header.Type == frame.TypePriority:
		c.priority++
	case f.Header.Type == frame.TypePriorityUpdate:
		c.update++
	case f.Header.Type == frame.TypeHeaders && f.Header.Flags.Has(frame.FlagPriority):
		c.headers++
	}
}

// Chromium states both an urgency and a place in the tree, so that RFC 9218 counts.
func TestChromiumPriority(t *testing.T) {
	pages, asked := &browserServer{conns: make(map[string]string)}, newPrioritySite()
	var frames priorityFrames
	ls := startServer(t, true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, err := server.Priority(w); err == nil {
			asked.mu.Lock()
			asked.seen[r.URL.Path] = p
			asked.mu.Unlock()
		}
		pages.ServeHTTP(w, r)
	}), func(s *server.Server) { s.Tracer = &frames })
	var entries []timing
	browse(t, ls.URL, &entries)
	frames.mu.Lock()
	t.Logf(
		"PRIORITY %d, PRIORITY_UPDATE %d, HEADERS with a place in the tree %d",
		frames.priority,
		frames.update,
		frames.headers,
	)
	frames.mu.Unlock()
	style, image := asked.of("/style0.css"), asked.of("/image30.svg")
	if !style.Extensible || !image.Extensible || style.Urgency >= image.Urgency {
		t.Errorf("a style sheet was asked for with %+v, an image with %+v", style, image)
	}
}

// Our client's places in the tree are understood by nghttpd.
func TestNghttpdSeesPriority(t *testing.T) {
	path := requirePeer(t, "nghttpd", "/usr/sbin/nghttpd")
	s := prepare(t)
	port := freePort(t)
	out := s.run(t, path, "-v", "--no-tls", "--address=127.0.0.1", "--htdocs="+s.dir, fmt.Sprint(port))
	lines := make(chan string, 1000)
	go func() { // ends with the program
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			lines <- sc.Text()
		}
		close(lines)
	}()
	addr := await(t, port)
	tr := &client.Transport{Protocols: new(http.Protocols), TreePriorities: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	ctx := client.WithPriority(
		t.Context(),
		priority.Params{Tree: true, DependsOn: 0, Exclusive: true, Weight: 76, Extensible: true, Urgency: 2},
	)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/big", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.UpdatePriority(ctx, priority.Params{Tree: true, Weight: 41}); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	want := []string{"weight=77, exclusive=1", "priority: u=2", "weight=42, exclusive=0"}
	deadline := time.After(rawTimeout)
	var all []string
	for len(want) > 0 {
		select {
		case line, ok := <-lines:
			all = append(all, line)
			if i := slices.IndexFunc(want, func(w string) bool { return strings.Contains(line, w) }); i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
			if !ok {
				t.Fatal("nghttpd has ended")
			}
		case <-deadline:
			t.Fatalf("nghttpd does not say %q:\n%s", want, clip(strings.Join(all, "\n")))
		}
	}
}

// octetsByStream reads until n octets of DATA have come, and returns whose they are.
func (p *rawPeer) octetsByStream(n int) map[uint32]int {
	p.t.Helper()
	octets := make(map[uint32]int)
	p.until(fmt.Sprintf("%d octets of DATA", n), func(f frame.Frame) bool {
		if d, ok := f.(frame.Data); ok {
			octets[d.StreamID] += len(d.Data)
			n -= len(d.Data)
		}
		return n <= 0
	})
	if n < 0 {
		p.t.Errorf("%d octets more than the window", -n)
	}
	return octets
}

// wrongShares says which of the streams 1, 3 and 5 has another share of the octets than it is to
// have.
func wrongShares(got map[uint32]int, want map[uint32]float64) (wrong string) {
	all, sum := 0, 0.0
	for _, id := range []uint32{1, 3, 5} {
		all, sum = all+got[id], sum+want[id]
	}
	for _, id := range []uint32{1, 3, 5} {
		// A quantum more or less is 16 KiB of 1 MiB, and streams that wait get no more than one octet
		// of 64.
		if share, want := float64(got[id])/float64(all), want[id]/sum; share < want-0.04 || share > want+0.04 {
			wrong += fmt.Sprintf("stream %d has %.3f of the octets, want %.3f; ", id, share, want)
		}
	}
	return wrong
}

// With a window that is opened piece by piece, the stream that gets each piece is the scheduler's
// decision alone.
func TestPriorityOrderOnTheWire(t *testing.T) {
	const piece = 1 << 20
	type step struct {
		why   string
		say   []any
		share map[uint32]float64
	}
	update := func(id uint32, value string) frame.Frame {
		return frame.PriorityUpdate{PrioritizedID: id, Value: []byte(value)}
	}
	move := func(id, on uint32, weight int) frame.Frame {
		return frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: on, Weight: uint8(weight - 1)}}
	}
	for _, tt := range []struct {
		name   string
		fields map[uint32]string // by stream
		first  []any
		steps  []step
	}{
		{"nothing is said", map[uint32]string{1: "", 3: "", 5: ""}, nil, []step{
			{"fair", nil, map[uint32]float64{1: 1, 3: 1, 5: 1}},
		}},
		{"RFC 9218", map[uint32]string{1: "u=5", 3: "u=5", 5: "u=5, i"}, []any{update(5, "u=6")}, []step{
			{"the first of the same urgency", nil, map[uint32]float64{1: 1}},
			{"PRIORITY_UPDATE", []any{update(5, "u=0")}, map[uint32]float64{5: 1}},
			{"shared", []any{update(5, "u=3, i"), update(3, "u=3, i")}, map[uint32]float64{3: 1, 5: 1}},
		}},
		{"RFC 7540", map[uint32]string{1: "", 3: "", 5: ""}, []any{move(3, 0, 48), move(5, 1, 200)}, []step{
			{"weights, and a child that waits", nil, map[uint32]float64{1: 1, 3: 3}},
			{"another place", []any{move(5, 0, 64)}, map[uint32]float64{1: 1, 3: 3, 5: 4}},
			{"below the third", []any{move(1, 5, 16), move(3, 5, 16)}, map[uint32]float64{5: 1}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := make([]byte, 16<<20)
			ls := startServer(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(body) // in one piece, so that each response always has something to send
			}), onlyHTTP2)
			p := dialRaw(t, ls).greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 30})
			for _, id := range []uint32{1, 3, 5} {
				fields := p.request("GET", "/")
				if v := tt.fields[id]; v != "" {
					fields = append(fields, h2test.Field("priority", v))
				}
				p.headers(id, true, fields...)
			}
			p.add(tt.first...)
			p.mustFlush()
			heads, left := 3, frame.DefaultWindow
			p.until("all heads, and a window of DATA", func(f frame.Frame) bool {
				switch f := f.(type) {
				case frame.Headers:
					heads--
				case frame.Data:
					left -= len(f.Data)
				}
				return heads == 0 && left == 0
			})
			p.sync()
			p.add(frame.WindowUpdate{Increment: piece}).mustFlush()
			p.octetsByStream(piece) // a stream that has not waited for it before does now
			for _, s := range tt.steps {
				p.add(s.say...)
				wrong := ""
				// A handler that a busy machine has kept from writing until now writes in the next
				// attempt.
				for attempt := 0; attempt == 0 || wrong != "" && attempt < 3; attempt++ {
					p.add(frame.WindowUpdate{Increment: piece}).mustFlush()
					wrong = wrongShares(p.octetsByStream(piece), s.share)
				}
				if wrong != "" {
					t.Errorf("%s: %s", s.why, wrong)
				}
			}
		})
	}
}

// 100,000 signals without a limit on their rate: what they leave behind, and cost, is bounded.
func TestHostilePrioritySignals(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		name string
		say  func(p *rawPeer, i int)
	}{
		{"PRIORITY of idle streams", func(p *rawPeer, i int) {
			param := frame.PriorityParam{DependsOn: uint32(2*i + 1), Weight: uint8(i)}
			p.add(frame.Priority{StreamID: uint32(2*i + 3), PriorityParam: param})
		}},
		{"PRIORITY in a ring", func(p *rawPeer, i int) {
			id := uint32(2*(i%500) + 1)
			param := frame.PriorityParam{DependsOn: (id + 2) % 1000, Exclusive: i%2 == 0, Weight: uint8(i)}
			p.add(frame.Priority{StreamID: id, PriorityParam: param})
		}},
		{"PRIORITY_UPDATE of an open stream", func(p *rawPeer, i int) {
			p.add(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte(fmt.Sprintf("u=%d, i=?%d", i%8, i/8%2))})
		}},
		{"PRIORITY_UPDATE of idle streams", func(p *rawPeer, i int) {
			p.add(frame.PriorityUpdate{PrioritizedID: uint32(2*(200-i%200) + 1), Value: []byte("u=1")})
		}},
		{"PRIORITY_UPDATE with long values", func(p *rawPeer, i int) {
			p.add(frame.PriorityUpdate{PrioritizedID: uint32(i%2*2 + 1), Value: []byte(strings.Repeat("a=1, ", 40) + "u=2")})
		}},
		{"both", func(p *rawPeer, i int) {
			id := uint32(2*(i%100) + 1)
			p.add(frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: id + 2, Exclusive: true}})
			p.add(frame.PriorityUpdate{PrioritizedID: id, Value: []byte("u=0, i")})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ls, _ := startGate(t, func(s *server.Server) { s.Limits.GlitchBurst = -1 })
			p := dialRaw(t, ls).greet()
			p.headers(1, false, p.request("POST", "/block")...)
			p.mustFlush()
			p.sync()
			before := liveHeap()
			<-p.flood(n, func(i int) { tt.say(p, i) })
			p.sync() // all are handled
			wantHeap(t, before, 1<<20)
			p.nc.Close()
			wantAlive(t, ls)
		})
	}
}
