package get

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
)

// A promise may take refusedSteps to come to HandlePush; one that the client has refused never
// does. They are counted one by one, since no more than one passes while the program is stopped.
const (
	refusedStep  = 100 * time.Millisecond
	refusedSteps = 10
)

// A pushed is a response that the server has pushed.
type pushed struct {
	url, parent string
	status      int
	octets      int64
	total       time.Duration // from the promise to the end
	err         error
}

// pushes takes what servers push. It counts the promises, too, since each one is handled by a
// goroutine of its own, which may begin behind the end of all requests.
type pushes struct {
	ctx     context.Context // ends what is pushed, when it is done
	timeout time.Duration   // of each pushed response; 0 is none

	mu              sync.Mutex // guards the fields below
	promised, begun int
	list            []*pushed     // pushed responses that are over
	changed         chan struct{} // closed and replaced with each change
}

func newPushes(ctx context.Context, o *Options) *pushes {
	return &pushes{ctx: ctx, timeout: o.Timeout, changed: make(chan struct{})}
}

// HandlePush reads a pushed response to its end.
func (p *pushes) HandlePush(push *client.Push) {
	p.change(func() { p.begun++ })
	ctx := p.ctx
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.timeout)
		defer cancel()
	}
	start := time.Now()
	x := &pushed{url: push.Request.URL.String(), parent: push.Parent.URL.String()}
	resp, err := push.Response(ctx)
	if err == nil {
		x.status = resp.StatusCode
		x.octets, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // it has been read
	}
	x.err, x.total = err, time.Since(start)
	p.change(func() { p.list = append(p.list, x) })
}

// change changes what is guarded.
func (p *pushes) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait waits for what was promised, and returns it.
func (p *pushes) wait() []*pushed {
	step := time.NewTicker(refusedStep)
	defer step.Stop()
	for steps := 0; ; {
		p.mu.Lock()
		list, changed := slices.Clone(p.list), p.changed
		over := len(p.list) == p.begun && (steps == refusedSteps || p.begun >= p.promised)
		p.mu.Unlock()
		if over {
			return list
		}
		select {
		case <-changed:
		case <-step.C:
			steps = min(steps+1, refusedSteps)
		}
	}
}

// event is a capture.Handler.
func (p *pushes) event(e capture.Event) {
	if f, ok := e.(*capture.Frame); ok && f.Dir == capture.Server && f.Header.Type.String() == "PUSH_PROMISE" {
		p.change(func() { p.promised++ })
	}
}
