package client

// closeExcessIdle closes the connections that have been idle for longest, while there are more than
// limit.
func (p *pool) closeExcessIdle(limit int) {
	for {
		cc := p.longestIdle(limit)
		if cc == nil {
			return
		}
		cc.retire()
	}
}

// longestIdle returns the connection that has been idle for longest, nil where none is idle or
// there are at most limit connections.
func (p *pool) longestIdle(limit int) (longest *ClientConn) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.connCount <= limit {
		return nil
	}
	for _, g := range p.groups {
		for _, cc := range g.conns {
			since := cc.c.IdleSince()
			if since.IsZero() || cc.retired.Load() {
				continue
			}
			if inFlight, _ := cc.c.Quota(); inFlight > 0 {
				continue
			}
			if longest == nil || since.Before(longest.c.IdleSince()) {
				longest = cc
			}
		}
	}
	return longest
}

// CloseIdleConnections implements Pool. It cancels the dials, too, for which no request waits.
func (p *pool) CloseIdleConnections() {
	p.mu.Lock()
	var all []*ClientConn
	for _, g := range p.groups {
		all = append(all, g.conns...)
		if len(g.waiters) == 0 {
			g.cancelDialsLocked()
			p.dropIfEmptyLocked(g)
		}
	}
	p.mu.Unlock()
	for _, cc := range all {
		if inFlight, _ := cc.c.Quota(); inFlight == 0 {
			cc.retire()
		}
	}
}
