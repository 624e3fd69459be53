package core

import "github.com/sluice-go/sluice/frame"

// Counts returns what has passed over the connection so far.
func (d Driver) Counts() Counts {
	n := &d.counts
	return Counts{
		FramesIn: n.FramesIn, FramesOut: n.FramesOut, DataIn: n.DataIn, DataOut: n.DataOut,
		StreamsOpened: n.StreamsOpened, StreamsClosed: n.StreamsClosed,
		StreamsResetLocal: uint64(n.StreamsResetLocal), StreamsResetRemote: uint64(n.StreamsResetRemote),
		PromisesIn: uint64(n.PromisesIn), PromisesOut: uint64(n.PromisesOut),
		ResetsIn: uint64(n.ResetsIn), ResetsOut: uint64(n.ResetsOut),
		PingsIn: uint64(n.PingsIn), PingsOut: uint64(n.PingsOut), SettingsIn: uint64(n.SettingsIn),
		WindowUpdatesIn: n.WindowUpdatesIn, WindowUpdatesOut: n.WindowUpdatesOut, LastError: n.LastError,
	}
}

// Counts counts what has passed over the connection.
type Counts struct {
	FramesIn, FramesOut uint64
	DataIn, DataOut     uint64 // octets of DATA payload, padding excluded
	StreamsOpened       uint64 // streams that either side has opened or promised
	StreamsClosed       uint64 // streams that have closed before the connection ended
	StreamsResetLocal   uint64 // streams that ended with our RST_STREAM
	StreamsResetRemote  uint64 // streams that ended with the peer's RST_STREAM, or by its GOAWAY
	PromisesIn          uint64 // PUSH_PROMISE that was accepted
	PromisesOut         uint64
	ResetsIn, ResetsOut uint64
	PingsIn, PingsOut   uint64
	SettingsIn          uint64 // SETTINGS that are no acknowledgements
	WindowUpdatesIn     uint64
	WindowUpdatesOut    uint64
	LastError           frame.Code // code of the connection error that ended the connection
}

// counters is Counts in less memory: rare events are counted modulo 2^32.
type counters struct {
	FramesIn, FramesOut                                uint64
	DataIn, DataOut                                    uint64
	StreamsOpened, StreamsClosed                       uint64
	WindowUpdatesIn, WindowUpdatesOut                  uint64
	StreamsResetLocal, StreamsResetRemote              uint32
	PromisesIn, PromisesOut                            uint32
	ResetsIn, ResetsOut, PingsIn, PingsOut, SettingsIn uint32
	LastError                                          frame.Code
}
