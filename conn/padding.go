package conn

import (
	"math/rand/v2"

	"github.com/sluice-go/sluice/frame"
)

// PadTo returns a padding that makes the payload of every frame a multiple of so many octets, 2 to
// 255, so that an observer learns the length of a message no more exactly than that (RFC 9113
// §10.7).
func PadTo(multiple int) PaddingFunc {
	multiple = min(max(multiple, 2), 255)
	return func(h frame.Header) int {
		switch over := int(h.Length) % multiple; over {
		case 0:
			return 0
		case multiple - 1:
			return multiple // Pad Length alone would do, but no padding means no Pad Length
		default:
			return multiple - 1 - over
		}
	}
}

// PadRandom returns a padding of random length, up to most octets, at most 255, on every frame.
func PadRandom(most int) PaddingFunc {
	most = min(max(most, 0), 255)
	return func(frame.Header) int { return rand.IntN(most + 1) }
}
