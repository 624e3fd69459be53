package conn

import (
	"context"

	"github.com/sluice-go/sluice/conn/core"
)

// AwaitSettings waits for the peer's SETTINGS, the first frame of a connection (RFC 9113 §3.4), and
// returns those in force. The error is that of ctx, or of the connection.
func (c *Client) AwaitSettings(ctx context.Context) (core.Settings, error) {
	c.mu.Lock()
	if c.mu.settingsReceived || c.mu.phase != phaseOpen {
		defer c.mu.Unlock()
		if !c.mu.settingsReceived {
			return core.Settings{}, c.endErrLocked()
		}
		return c.core.PeerSettings(), nil
	}
	if c.settingsReady == nil {
		c.settingsReady = make(chan struct{})
	}
	known := c.settingsReady
	c.mu.Unlock()
	select {
	case <-known:
	case <-ctx.Done():
		return core.Settings{}, ctx.Err()
	}
	return c.AwaitSettings(ctx)
}

// KnownSettings returns the peer's settings in force, and false as long as its SETTINGS, the first
// frame of a connection (RFC 9113 §3.4), have not come.
func (c *Client) KnownSettings() (core.Settings, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.PeerSettings(), c.mu.settingsReceived
}

// signalSettingsLocked wakes calls of AwaitSettings: the peer's SETTINGS have come, or the
// connection has ended.
func (c *Client) signalSettingsLocked() {
	if known := c.settingsReady; known != nil {
		c.settingsReady = nil
		c.mu.pending = append(c.mu.pending, callback{f: func(error) { close(known) }})
	}
}
