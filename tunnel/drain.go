package tunnel

import "context"

// Shutdown drains the proxy: new requests are refused with 503, those that run and tunnels go on
// until they end by themselves or ctx is done, when they are cut off (see docs/TUNNELS.md). It
// returns when all have ended, with ctx's error where some were cut off.
//
// Shutdown of the server.Server closes its listeners and tells clients to open no more; it waits
// for the tunnels of HTTP/2, and does not know of those of HTTP/1.1. Call both at the same time,
// with the same context.
func (p *Proxy) Shutdown(ctx context.Context) error {
	drained := p.startDrain()
	defer p.state.forward.close()
	defer p.state.upstreams.close()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	p.state.close()
	<-drained
	return context.Cause(ctx)
}

// Close refuses new requests and cuts off those that run, and tunnels, at once. It returns when all
// have ended.
func (p *Proxy) Close() error {
	drained := p.startDrain()
	defer p.state.forward.close()
	defer p.state.upstreams.close()
	p.state.close()
	<-drained
	return nil
}

// startDrain has new requests refused, and returns what is closed when nothing runs any more.
func (p *Proxy) startDrain() <-chan struct{} {
	st := p.init()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.drained == nil {
		close(st.draining)
		st.drained = make(chan struct{})
		st.tellDrainedLocked()
	}
	return st.drained
}
