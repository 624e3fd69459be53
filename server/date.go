package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateOf is a Date field and the second it stands for.
type dateOf struct {
	unix int64
	text string
}

// lastDate spares the formatting while the second is the same. It is data only, so that tests with different
// clocks may share it.
var lastDate atomic.Pointer[dateOf]

// dateNow returns the value of a Date field (RFC 9110 §6.6.1).
func dateNow() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.unix == now.Unix() {
		return d.text
	}
	d := &dateOf{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}
