package server

import "testing"

func TestHeaderSizes(t *testing.T) {
	var h headerSizes
	for i, step := range []struct{ n, want int }{
		{20, 0}, {20, 0}, {20, 0}, {21, 21}, {20, 20}, {1000, mostHeader}, {9, 9}, {8, 0}, {20, 0}, {0, 0},
	} {
		h.observe(step.n)
		if got := h.expected(); got != step.want {
			t.Errorf("%d: %d fields are expected after %d, want %d", i, got, step.n, step.want)
		}
	}
}
