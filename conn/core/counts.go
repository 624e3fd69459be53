package core

import "github.com/sluice-go/sluice/frame"

// Counts returns the counters so far.
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
	StreamsOpened       uint64 // by either side
	StreamsClosed       uint64 // of them, however they ended; those lost with their connection are not among them
	StreamsResetLocal   uint64 // of the closed ones, those that ended with our RST_STREAM
	StreamsResetRemote  uint64 // those that ended with the peer's RST_STREAM, or were above its GOAWAY's last stream
	PromisesIn          uint64 // PUSH_PROMISE that was taken
	PromisesOut         uint64
	ResetsIn, ResetsOut uint64
	PingsIn, PingsOut   uint64
	SettingsIn          uint64 // without acknowledgements
	WindowUpdatesIn     uint64
	WindowUpdatesOut    uint64
	LastError           frame.Code // of the connection error that ended it
}

// tally is Counts in less memory: what is rare begins again after 2^32.
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
