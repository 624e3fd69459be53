package socket

import (
	"syscall"
	"time"
)

// InBubble reports whether the caller is in a bubble of testing/synctest, whose clock begins with
// the year 2000. A goroutine or a timer that serves all connections must not be started there,
// since it would belong to the bubble.
func InBubble() bool {
	var now syscall.Timeval
	if syscall.Gettimeofday(&now) != nil {
		return true
	}
	ahead := time.Now().Unix() - int64(now.Sec) //nolint:unconvert // it has 32 bits on some systems
	return ahead < -3600 || ahead > 3600
}
