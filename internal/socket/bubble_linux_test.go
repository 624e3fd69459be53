package socket

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestInBubble(t *testing.T) {
	if InBubble() {
		t.Error("a bubble is seen where there is none")
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour)
		if !InBubble() {
			t.Error("the bubble is not seen")
		}
	})
}
