// Package memconn is an in-memory network for tests: buffered, full-duplex connections and a
// listener.
//
// It owns the bytes between two ends, their deadlines and, if asked, a simulated latency and
// bandwidth. It does not lose or reorder bytes. Waits are on sync.Cond and on timers that are made
// when they are needed, so everything works inside a testing/synctest bubble: a goroutine that
// waits for a peer is durably blocked and simulated delays take no real time. All methods may be
// called by any goroutine.
//
// Limitations: Close behaves like TCP without RST, what was written before it can still be read by
// the peer; closing does not wait for delivery.
package memconn
