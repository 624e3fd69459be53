package socket

import (
	"syscall"
	"time"
)

// InBubble reports whether the caller is in a bubble of testing/synctest, which has a clock of its
// own that begins with the year 2000. What serves many connections beside each other, a goroutine
// or a timer, must not come from there: it would belong to the bubble.
func InBubble() bool {
	var now syscall.Timeval
	if syscall.Gettimeofday(&now) != nil {
		return true
	}
	ahead := time.Now().Unix() - int64(now.Sec) //nolint:unconvert // it has 32 bits on some systems
	return ahead < -3600 || ahead > 3600
}
