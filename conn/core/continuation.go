package core

import "github.com/sluice-go/sluice/frame"

// continuation takes a CONTINUATION frame, which goes on with the header block of the frame before
// it. That no other frame comes in between (RFC 9113 §6.10) is checked in Decode.
func (dec *frameDecoder) continuation(h frame.Header, p []byte) error {
	if !dec.pending.open {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.10", "CONTINUATION without HEADERS before it")
	}
	f, err := frame.ParseContinuation(h, p)
	if err != nil {
		return err
	}
	dec.pending.continuations++
	if len(f.Fragment) == 0 {
		dec.pending.continuations++
	}
	if over(dec.pending.continuations-dec.pending.octets/octetsPerContinuation, dec.maxContinuations) {
		dec.hpack.Drop()
		return enhanceYourCalm("too_many_continuations")
	}
	return dec.fragment(f.Fragment, f.EndHeaders)
}

// octetsPerContinuation is how many octets of the header block make one CONTINUATION frame free:
// see Limits.MaxContinuations. Peers may split a block as they like, but a frame with less than
// this is hardly more than its header.
const octetsPerContinuation = 16
