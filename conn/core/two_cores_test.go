package core

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

var (
	oneSeed = flag.Uint64("seed", 0, "the only seed that TestTwoCores runs, as a failure prints it")
	seeds   = flag.Uint64("seeds", 400, "how many seeds TestTwoCores runs; with -short a tenth")
)

// A client and a server back to back do random things, see what the other did later and in pieces,
// and in the end everything that was sent has arrived, nothing is left over, and both agree on
// every window.
func TestTwoCores(t *testing.T) {
	if *oneSeed != 0 {
		runTwoCores(t, *oneSeed)
		return
	}
	n := *seeds
	if testing.Short() {
		n /= 10
	}
	var total Counts
	var grown, shrunk int
	for seed := range n {
		w := runTwoCores(t, seed+1)
		shrunk += w.shrunk
		for _, n := range w.ends {
			total.StreamsOpened += n.c.Counts().StreamsOpened
			total.ResetsOut += n.c.Counts().ResetsOut
			total.DataOut += n.c.Counts().DataOut
			total.SettingsIn += n.c.Counts().SettingsIn
			total.FramesIn += n.c.Counts().FramesIn
			total.PromisesIn += n.c.Counts().PromisesIn
			if n.c.recv.window.Size() > n.c.cfg.ConnWindow {
				grown++
			}
		}
	}
	t.Logf("%d seeds: %d streams, %d of them pushed, %d reset, %d octets of DATA, %d frames, %d times SETTINGS",
		n, total.StreamsOpened/2, total.PromisesIn, total.ResetsOut, total.DataOut, total.FramesIn, total.SettingsIn)
	t.Logf("%d larger windows, %d smaller ones", grown, shrunk)
	if n >= 100 && shrunk == 0 {
		t.Error("no window was made smaller")
	}
}

func FuzzTwoCores(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { runTwoCores(t, seed) })
}

// A twoCores is the two ends of a connection. All that is random in it comes from one seed.
type twoCores struct {
	tb        testing.TB
	seed      uint64
	rng       *rand.Rand
	now       time.Time
	step      int
	quiescent bool // no more noise
	shrunk    int  // how often a connection has changed its initial window

	ends      [2]*endpoint // by Role
	exchanges map[uint32]*exchange
	order     []uint32 // of exchanges, as they were made
}

// An endpoint is one end: a Conn, and the program that drives it.
type endpoint struct {
	w     *twoCores
	c     Driver
	other *endpoint

	wire []byte // on the way from here to the other
	in   []byte // arrived here, not decoded

	endpointStreams map[uint32]*endpointStream
	owners          map[*Stream]*endpointStream // also of streams that are closed and unread
	open            []uint32                    // streams that live here, for picking one at random
	free            []*Stream
	changes         [][]frame.Setting // of ours, on their way until the acknowledgement
	largest         uint32            // frame that the peer has allowed since the output was taken
	acks            int
	asked           bool // the last change of the initial window was the connection's own, and is not acknowledged
	begun           bool // the first flight is on the wire
	ended           bool // Shutdown was called
}

func runTwoCores(tb testing.TB, seed uint64) *twoCores {
	tb.Helper()
	w := &twoCores{
		tb: tb, seed: seed, rng: rand.New(rand.NewPCG(seed, 42)), now: epoch, exchanges: make(map[uint32]*exchange),
	}
	for i := range w.ends {
		w.ends[i] = w.newEndpoint()
	}
	for role, n := range w.ends {
		n.c = New(w.config(Role(role), n)).Driver()
		n.other = w.ends[1-role]
		n.c.Start(w.now)
	}
	for range 300 {
		w.act()
		if w.step++; w.step%16 == 0 {
			w.check()
		}
	}
	w.settle()
	w.checkEnd()
	return w
}

func (w *twoCores) newEndpoint() *endpoint {
	return &endpoint{w: w, endpointStreams: make(map[uint32]*endpointStream), owners: make(map[*Stream]*endpointStream)}
}

func (w *twoCores) config(role Role, n *endpoint) Config {
	cfg := testConfig(role)
	cfg.MaxConcurrentStreams = w.pick(1, 3, 100)
	cfg.DecoderTableSize = w.pick(0, 100, 4096, 1<<16)
	cfg.EncoderTableSize = w.pick(0, 200, 4096)
	cfg.MaxReadFrameSize = w.pick(1<<14, 1<<14, 1<<15, 1<<20)
	cfg.StreamWindow = w.pick(1, 500, 65535, 1<<20, frame.MaxWindow)
	cfg.ConnWindow = w.pick(65535, 1<<20, frame.MaxWindow)
	if cfg.MaxUnread = int64(w.pick(1, 20_000, 1<<30, 1<<30)); cfg.MaxUnread < 1<<30 {
		cfg.StreamWindow = w.pick(20_000, 65535, 1<<20, frame.MaxWindow) // which the connection makes smaller
	}
	cfg.WindowGrowth = w.pick(0, 1<<20, 1<<30)
	cfg.PingInterval = time.Duration(w.pick(0, 200)) * time.Millisecond
	cfg.Limits = Limits{ResetBurst: -1, GlitchBurst: -1, EmptyBurst: -1, MaxQueuedControl: -1}
	if w.chance(3) {
		cfg.Padding = func(frame.Header) int { return int(w.pick(0, 1, 20, 255)) }
	}
	cfg.Grease = uint64(w.pick(0, 77))
	cfg.NewStream = n.newStream
	cfg.EnablePush = role == Client
	cfg.TreePriorities = w.chance(2)
	schedulers := []func() priority.Scheduler{
		priority.NewRoundRobin,
		priority.NewExtensible,
		priority.NewTree,
		priority.NewAuto,
	}
	cfg.Scheduler = schedulers[w.rng.IntN(len(schedulers))]()
	return cfg
}

// newStream uses the memory of closed streams again.
func (n *endpoint) newStream() *Stream {
	if k := len(n.free); k > 0 {
		s := n.free[k-1]
		n.free = n.free[:k-1]
		return s
	}
	return new(Stream)
}

func (w *twoCores) pick(values ...uint32) uint32 { return values[w.rng.IntN(len(values))] }

// chance is true once in n times.
func (w *twoCores) chance(n int) bool { return w.rng.IntN(n) == 0 }

func (w *twoCores) failf(format string, args ...any) {
	w.tb.Helper()
	w.tb.Fatalf("-seed %d: step %d: %s", w.seed, w.step, fmt.Sprintf(format, args...))
}

// act does one random thing.
func (w *twoCores) act() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(20)) * time.Millisecond)
	n := w.ends[w.rng.IntN(2)]
	switch w.rng.IntN(16) {
	case 0, 1:
		w.request()
	case 2, 3, 4:
		n.send()
	case 5, 6:
		n.read()
	case 7, 8, 9:
		n.move()
	case 10, 11, 12:
		n.deliver(1 + w.rng.IntN(1+len(n.other.wire)))
	case 13:
		n.tick()
	case 14:
		n.disturb()
	case 15:
		n.finishStep()
	}
}

// finishStep does rare things.
func (n *endpoint) finishStep() {
	switch n.w.rng.IntN(40) {
	case 0:
		n.ended = true
		n.c.Shutdown(n.w.now)
	case 1, 2, 3, 4, 5, 6:
		n.change()
	case 10, 11, 12, 13, 14, 15, 16, 17, 18, 19:
		n.w.push()
	case 7, 8:
		n.c.Ping([8]byte([]byte("question")))
	case 20, 21, 22, 23, 24, 25, 26, 27:
		n.reprioritize()
	}
	n.events()
}

// reprioritize changes the priority of a stream, which must change nothing but the order of what is
// sent.
func (n *endpoint) reprioritize() {
	if h := n.any(); h != nil {
		if err := n.c.SetPriority(h.s, n.w.priority()); err != nil && !errors.Is(err, ErrPriority) &&
			!errors.Is(err, ErrClosed) {
			n.w.failf("SetPriority: %v", err)
		}
	}
}

// priority is one of any kind.
func (w *twoCores) priority() priority.Params {
	return priority.Params{
		Extensible: w.chance(2), Urgency: uint8(w.rng.IntN(9)), Incremental: w.chance(2),
		Tree: w.chance(2), DependsOn: uint32(w.rng.IntN(40)), Exclusive: w.chance(3), Weight: uint8(w.rng.IntN(256)),
	}
}

// disturb resets a stream, now and then, or says that it is not wanted.
func (n *endpoint) disturb() {
	h := n.any()
	if h == nil || !n.w.chance(3) {
		return
	}
	if n.w.chance(3) {
		h.exchange.stopped[n.c.cfg.Role] = true
		n.c.StopRecv(h.s)
	} else {
		h.exchange.killed = true
		n.c.Reset(h.s, frame.Code(n.w.pick(uint32(frame.Cancel), uint32(frame.InternalError), 0)))
	}
	n.events()
}

// any picks a stream that lives here.
func (n *endpoint) any() *endpointStream {
	if len(n.open) == 0 {
		return nil
	}
	return n.endpointStreams[n.open[n.w.rng.IntN(len(n.open))]]
}

func (n *endpoint) tick() {
	if at, ok := n.c.Deadline(); ok && !at.After(n.w.now) {
		if err := n.c.Tick(n.w.now); err != nil {
			n.w.failf("%v: Tick: %v", n.c.cfg.Role, err)
		}
		n.events()
	}
}

// request makes the client open a stream.
func (w *twoCores) request() {
	n := w.ends[Client]
	if err := n.c.CanOpen(); err != nil {
		if errors.Is(err, ErrNoMoreStreams) != n.c.State().Draining {
			w.failf("CanOpen: %v", err)
		}
		return
	}
	p := w.newExchange()
	s, err := n.c.Open(Request{Fields: p.request.fields, Head: p.head, End: p.request.bare(), Priority: w.priority()})
	if err != nil {
		w.failf("Open: %v", err)
	}
	p.id = s.ID
	w.exchanges[p.id] = p
	w.order = append(w.order, p.id)
	h := n.begin(s, p)
	h.headSent, h.ended = true, p.request.bare()
	n.events()
}

// push makes the server promise something.
func (w *twoCores) push() {
	n := w.ends[Server]
	h := n.any()
	if h == nil {
		return
	}
	p := w.newExchange()
	p.parent = h.exchange
	p.request.fields[0].Value = "GET"
	if p.head {
		p.request.fields[0].Value = "HEAD"
	}
	p.request = letter{
		fields: slices.DeleteFunc(p.request.fields, func(f header.Field) bool { return f.Name == "content-length" }),
	}
	can := n.c.CanPush(h.s)
	s, err := n.c.Push(h.s, p.request.fields)
	if !errors.Is(err, can) || can == nil && err != nil {
		w.failf("Push: %v, but CanPush: %v", err, can)
	}
	if err != nil {
		return
	}
	p.id = s.ID
	w.exchanges[p.id] = p
	w.order = append(w.order, p.id)
	hs := n.begin(s, p)
	hs.gotHead, hs.gotEnd = true, true
	n.same(&Event{Stream: s}, s.Head.Fields, p.request.fields)
}

// move takes output and puts it on the wire.
func (n *endpoint) move() {
	n.c.SetBackpressure(n.w.chance(2))
	n.c.Fill(n.w.rng.IntN(100_000))
	if n.w.chance(4) {
		n.c.StopAwaiting(waited(n.w.chance(2)), time.Second)
	}
	n.events()
	n.shake(n.c.Output(nil))
}

// deliver lets k octets arrive here.
func (n *endpoint) deliver(k int) {
	k = min(k, len(n.other.wire))
	n.in = append(n.in, n.other.wire[:k]...)
	n.other.wire = n.other.wire[k:]
	for {
		k, err := n.c.Decode(n.in)
		if err == nil && k == 0 {
			break
		}
		if err == nil && n.c.dec.isFrame && n.c.dec.header.Type == frame.TypeSettings &&
			n.c.dec.header.Flags.Has(frame.FlagAck) {
			n.acknowledged()
		}
		if err == nil {
			err = n.c.Apply(n.w.now)
			n.noteLargest()
			n.events()
		}
		if err != nil {
			n.w.failf("%v: %v", n.c.cfg.Role, err)
		}
		n.in = n.in[k:]
	}
	n.in = slices.Clip(n.in)
}

// change sends SETTINGS behind the back of the connection, and brings them into force when it is
// time.
func (n *endpoint) change() {
	var list []frame.Setting
	for range n.w.rng.IntN(4) {
		switch n.w.rng.IntN(4) {
		case 0:
			sizes := []uint32{0, 1, 100, 65535, 1 << 20, frame.MaxWindow}
			if n.c.cfg.WindowGrowth > 0 {
				sizes = sizes[:5] // a window that has grown could become too large
			}
			list = append(list, setting(frame.SettingInitialWindowSize, n.w.pick(sizes...)))
		case 1:
			size := n.w.pick(1<<14, 1<<15, 1<<24-1)
			n.c.dec.maxFrame = max(n.c.dec.maxFrame, size)
			list = append(list, setting(frame.SettingMaxFrameSize, size))
		case 2:
			list = append(list, setting(frame.SettingHeaderTableSize, n.w.pick(0, 50, 4096, 1<<16)))
		case 3:
			list = append(list, setting(frame.SettingMaxConcurrentStreams, n.w.pick(0, 1, 50)))
			if n.c.cfg.Role == Client {
				list = append(list, setting(frame.SettingEnablePush, n.w.pick(0, 1, 1)))
			}
		}
	}
	n.sendSettings(list)
}

func (n *endpoint) sendSettings(list []frame.Setting) {
	if n.c.cfg.MaxUnread < 1<<30 {
		return // the connection sends its own, and takes every acknowledgement for that of those
	}
	n.c.out = frame.AppendSettings(n.c.out, list...)
	n.changes = append(n.changes, append([]frame.Setting{}, list...)) // not nil
}

// noteAsked notes that the connection has sent SETTINGS of its own, which have no list.
func (n *endpoint) noteAsked() {
	if n.c.settings.windowUnacked && !n.asked {
		n.asked = true
		n.changes = append(n.changes, nil)
		n.w.shrunk++
	}
}

// acknowledged brings into force what the other has acknowledged. The first acknowledgement is for
// what Start sent.
func (n *endpoint) acknowledged() {
	if n.acks++; n.acks == 1 {
		return
	}
	n.noteAsked()
	if len(n.changes) == 0 {
		n.w.failf("%v: acknowledgement of nothing", n.c.cfg.Role)
	}
	list := n.changes[0]
	n.changes = n.changes[1:]
	if list == nil {
		n.asked = false
	}
	c := n.c
	for _, set := range list {
		switch set.ID {
		case frame.SettingInitialWindowSize:
			delta := int32(int64(set.Value) - int64(c.cfg.StreamWindow))
			c.cfg.StreamWindow, c.recv.initial.size = set.Value, set.Value
			for id, s := range c.streams.All() {
				inc, ok := s.recv.window.Shift(delta)
				if !ok {
					n.w.failf("%v: stream %d cannot be shifted by %d", c.cfg.Role, id, delta)
				}
				if inc > 0 && s.state.CanReceive() {
					c.appendWindowUpdate(id, inc)
				}
			}
		case frame.SettingMaxFrameSize:
			c.dec.maxFrame = set.Value
		case frame.SettingHeaderTableSize:
			c.dec.hpack.SetTableSize(set.Value)
		case frame.SettingMaxConcurrentStreams:
			c.cfg.MaxConcurrentStreams = set.Value
		}
	}
}
