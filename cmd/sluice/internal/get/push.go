package get

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/sluice-go/sluice/client"
)

// A pushed is a response that the server has pushed.
type pushed struct {
	url, parent string
	status      int
	octets      int64
	total       time.Duration // from the promise to the end
	err         error
}

// pushes takes what servers push.
type pushes struct {
	all  sync.WaitGroup
	mu   sync.Mutex // guards list
	list []*pushed
}

// HandlePush reads a pushed response to its end.
func (p *pushes) HandlePush(push *client.Push) {
	p.all.Add(1)
	defer p.all.Done()
	start := time.Now()
	x := &pushed{url: push.Request.URL.String(), parent: push.Parent.URL.String()}
	resp, err := push.Response(context.Background())
	if err == nil {
		x.status = resp.StatusCode
		x.octets, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // it has been read
	}
	x.err, x.total = err, time.Since(start)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, x)
}

// wait waits for the pushes that have begun.
func (p *pushes) wait() { p.all.Wait() }
