package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateClock gives the value of Date fields. It looks at the clock once in a second, and has a timer
// tell it when that second is over: looking each time takes 3% of a small request. It must not be
// copied, and is ready as it is.
type dateClock struct{ text atomic.Pointer[string] }

// now returns the value of a Date field (RFC 9110 §6.6.1).
func (c *dateClock) now() string {
	if text := c.text.Load(); text != nil {
		return *text
	}
	now := time.Now()
	text := now.UTC().Format(http.TimeFormat)
	c.text.Store(&text)
	time.AfterFunc(time.Second-time.Duration(now.Nanosecond()), func() { c.text.Store(nil) })
	return text
}
