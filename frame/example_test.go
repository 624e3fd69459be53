package frame_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sluice-go/sluice/frame"
)

// What a client sends first: the preface, its settings, more credit for the connection, and a
// request.
func Example() {
	b := []byte(frame.Preface)
	b = frame.AppendSettings(b, frame.Setting{ID: frame.SettingEnablePush, Value: 0})
	b = frame.WindowUpdate{Increment: 1 << 20}.Append(b)
	b = frame.Headers{
		StreamID:   1,
		EndStream:  true,
		EndHeaders: true,
		Fragment:   []byte{0x82, 0x87, 0x84}, // HPACK: GET https /
	}.Append(b)

	rest := b[len(frame.Preface):]
	for len(rest) > 0 {
		h, payload, n, err := frame.Split(rest, frame.MinMaxFrameSize)
		if err != nil || n == 0 {
			fmt.Println("broken or not whole:", err)
			return
		}
		f, err := frame.Parse(h, payload)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f)
		rest = rest[n:]
	}
	// Output:
	// SETTINGS stream=0 len=6 SETTINGS_ENABLE_PUSH=0
	// WINDOW_UPDATE stream=0 len=4 increment=1048576
	// HEADERS stream=1 flags=END_STREAM|END_HEADERS len=3
}

// A read loop keeps the octets of a frame that is not complete yet, and adds to them.
func ExampleSplit() {
	wire := frame.Ping{Data: [8]byte([]byte("pingpong"))}.Append(nil)
	wire = frame.AppendSettingsAck(wire)

	var buf []byte
	for _, piece := range [][]byte{wire[:5], wire[5:20], wire[20:]} {
		buf = append(buf, piece...)
		for {
			h, payload, n, err := frame.Split(buf, frame.MinMaxFrameSize)
			if err != nil {
				fmt.Println(err)
				return
			}
			if n == 0 {
				fmt.Printf("%d octets wait for more\n", len(buf))
				break
			}
			fmt.Printf("%v payload=%q\n", h, payload)
			buf = buf[n:]
		}
	}
	// Output:
	// 5 octets wait for more
	// PING stream=0 len=8 payload="pingpong"
	// 3 octets wait for more
	// SETTINGS stream=0 flags=ACK len=0 payload=""
	// 0 octets wait for more
}

// The type of an error says what it ends.
func ExampleParseWindowUpdate() {
	for _, id := range []uint32{5, 0} {
		h := frame.Header{Length: 4, Type: frame.TypeWindowUpdate, StreamID: id}
		_, err := frame.ParseWindowUpdate(h, []byte{0, 0, 0, 0})

		var ce *frame.ConnError
		var se *frame.StreamError
		switch {
		case errors.As(err, &ce):
			fmt.Printf("GOAWAY with %v, because of %s\n", ce.Code, ce.Section)
		case errors.As(err, &se):
			fmt.Printf("RST_STREAM of stream %d with %v\n", se.StreamID, se.Code)
		}
	}
	// Output:
	// RST_STREAM of stream 5 with PROTOCOL_ERROR
	// GOAWAY with PROTOCOL_ERROR, because of RFC 9113 §6.9
}

// The header is put last where the length of the payload is not known before.
func ExampleHeader_Put() {
	b := make([]byte, frame.HeaderLen, 64)
	b = append(b, 0x82, 0x87, 0x84) // what an HPACK encoder appends
	frame.Header{
		Length:   uint32(len(b) - frame.HeaderLen),
		Type:     frame.TypeHeaders,
		Flags:    frame.FlagEndHeaders,
		StreamID: 1,
	}.Put(b)
	fmt.Printf("%x\n", b)
	// Output:
	// 000003010400000001828784
}

func ExampleCode() {
	var err error = &frame.StreamError{StreamID: 7, Code: frame.RefusedStream, Initiator: frame.Remote}
	fmt.Println(err)
	fmt.Println("safe to retry:", errors.Is(err, frame.RefusedStream))
	// Output:
	// http2: peer reset stream 7 with REFUSED_STREAM
	// safe to retry: true
}

func ExampleSettings() {
	wire := frame.AppendSettings(nil,
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20},
		frame.Setting{ID: frame.SettingMaxFrameSize, Value: 1000},
	)
	f, err := frame.ParseSettings(frame.ParseHeader(wire), wire[frame.HeaderLen:])
	if err != nil {
		fmt.Println(err)
		return
	}
	for s := range f.All() {
		fmt.Println(s)
		fmt.Println(s.Check())
	}
	// Output:
	// SETTINGS_INITIAL_WINDOW_SIZE=1048576
	// <nil>
	// SETTINGS_MAX_FRAME_SIZE=1000
	// http2: connection error PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24-1 (RFC 9113 §6.5.2)
}

// The header block that came in two frames is returned as one frame.
func ExampleReader() {
	wire := frame.AppendSettings([]byte(frame.Preface))
	wire = frame.Headers{StreamID: 1, Fragment: []byte{0x82, 0x87}}.Append(wire)
	wire = frame.Continuation{StreamID: 1, EndHeaders: true, Fragment: []byte{0x84}}.Append(wire)
	wire = frame.Ping{}.Append(wire)
	wire = frame.Continuation{StreamID: 1, EndHeaders: true}.Append(wire) // of no block

	r := frame.NewReader(bytes.NewReader(wire))
	if err := r.ReadPreface(); err != nil {
		fmt.Println(err)
		return
	}
	for {
		h, payload, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(h)
		if h.Type == frame.TypeHeaders {
			f, err := frame.ParseHeaders(h, payload)
			fmt.Printf("block %x %v\n", f.Fragment, err)
		}
	}
	// Output:
	// SETTINGS stream=0 len=0
	// HEADERS stream=1 flags=END_HEADERS len=3
	// block 828784 <nil>
	// PING stream=0 len=8
	// http2: connection error PROTOCOL_ERROR: CONTINUATION without HEADERS before it (RFC 9113 §6.10)
}

// A header block that is longer than the peer's SETTINGS_MAX_FRAME_SIZE.
func ExampleHeaders_AppendSplit() {
	f := frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: make([]byte, 40000)}
	for wire := f.AppendSplit(nil, frame.MinMaxFrameSize); len(wire) > 0; {
		h, _, n, err := frame.Split(wire, frame.MinMaxFrameSize)
		if err != nil || n == 0 {
			fmt.Println("broken or not whole:", err)
			return
		}
		fmt.Println(h)
		wire = wire[n:]
	}
	// Output:
	// HEADERS stream=1 flags=END_STREAM len=16384
	// CONTINUATION stream=1 len=16384
	// CONTINUATION stream=1 flags=END_HEADERS len=7232
}
