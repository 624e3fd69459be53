package tunnel

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// dialRace dials several addresses, the next one when an attempt has failed or has taken long
// (RFC 8305 §5: happy eyeballs).
type dialRace struct {
	proxy   *Proxy
	network string
	port    uint16
	results chan attempt // with room for all, so that no attempt waits
	decided atomic.Bool  // one attempt has a connection, or none is wanted any more
}

// run returns the attempt that won, or those that failed.
func (d *dialRace) run(ctx context.Context, addrs []netip.Addr) (won attempt, failed []attempt) {
	dialCtx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the attempts that lost
	timer := time.NewTimer(attemptDelay)
	defer timer.Stop()
	done := ctx.Done()
	next := 0
	start := func() {
		if next < len(addrs) {
			go d.attempt(dialCtx, addrs[next])
			next++
			timer.Reset(attemptDelay)
		}
	}
	start()
	for {
		select {
		case a := <-d.results:
			if a.err == nil {
				return a, nil
			}
			failed = append(failed, a)
			if len(failed) == len(addrs) {
				return attempt{}, failed
			}
			start()
		case <-timer.C:
			start()
		case <-done:
			done = nil
			if d.decided.CompareAndSwap(false, true) {
				return attempt{}, append(failed, waiting(addrs[:next], failed, ctx.Err())...)
			}
			// An attempt has won at this moment: its result is on its way.
		}
	}
}

// waiting returns the attempts at the addresses that have not failed, as failed by cause.
func waiting(addrs []netip.Addr, failed []attempt, cause error) []attempt {
	var list []attempt
	for _, addr := range addrs {
		if !slices.ContainsFunc(failed, func(a attempt) bool { return a.addr == addr }) {
			list = append(list, attempt{addr: addr, err: cause})
		}
	}
	return list
}

// attempt dials one address. The connection of an attempt that lost is closed.
func (d *dialRace) attempt(ctx context.Context, addr netip.Addr) {
	c, err := d.proxy.dial(ctx, d.network, netip.AddrPortFrom(addr, d.port))
	if err == nil && !d.decided.CompareAndSwap(false, true) {
		_ = c.Close()
		c, err = nil, context.Canceled
	}
	d.results <- attempt{c, addr, err}
}

// rankRefusal is the rank of a Refusal that DialContext returned.
const rankRefusal = 6

// classifyDialError returns the Refusal of one attempt, and how much it says about the target: the
// higher, the more.
func classifyDialError(err error) (*Refusal, int) {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r, rankRefusal
	}
	r := &Refusal{Status: http.StatusBadGateway, Err: err}
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS):
		r.Status, r.Type, r.Details = http.StatusInternalServerError, "proxy_internal_error", "the proxy has no room"
		return r, 5
	case errors.Is(err, syscall.ECONNREFUSED):
		r.Type, r.Details = "connection_refused", "connection refused"
		return r, 4
	case errors.Is(err, syscall.ECONNRESET):
		r.Type, r.Details = "connection_terminated", "connection reset"
		return r, 3
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		r.Type, r.Details = "destination_ip_unroutable", "no route to this address"
		return r, 1
	case errors.Is(err, context.DeadlineExceeded), isNet && netErr.Timeout():
		r.Status, r.Type, r.Details = http.StatusGatewayTimeout, "connection_timeout", "no answer in time"
		return r, 3
	case errors.Is(err, context.Canceled):
		r.Type, r.Details = "destination_unavailable", "given up, since the client is gone"
		return r, 1
	}
	r.Type, r.Details = "destination_unavailable", "no connection"
	return r, 2
}
