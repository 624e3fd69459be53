package h2test

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/frame"
)

// Text says how items are written as lines. The zero Text shows everything but padding.
type Text struct {
	Lengths   bool     // DATA is shown by its length alone
	Checksums bool     // DATA that is too long to be shown has a checksum beside its length
	Brief     bool     // SETTINGS are shown without their parameters
	Omit      []string // names of fields that are left out, such as "date"
}

// maxShown is the longest content of DATA that is shown, in octets; of longer content it is the
// length.
const maxShown = 100

// Line writes an item in one line:
//
//	HEADERS 1 :status=200 x=y END_STREAM
//	HEADERS 1 :status=200 in 2 frames
//	PUSH_PROMISE 1 2 :method=GET :path=/
//	DATA 1 "content" END_STREAM
//	DATA 1 1000 octets
//	DATA 1 1000 octets, checksum 1a2b3c4d
//	RST_STREAM 1 CANCEL
//	SETTINGS SETTINGS_INITIAL_WINDOW_SIZE=1
//	SETTINGS ack
//	PING "\x00\x00\x00\x00\x00\x00\x00\x00" ack
//	GOAWAY 1 NO_ERROR "why"
//	WINDOW_UPDATE 0 1000
//
// Frames of other types are written as package frame does.
func (t Text) Line(item any) string {
	switch f := item.(type) {
	case Block:
		return t.block(f)
	case frame.Data:
		return fmt.Sprintf("DATA %d %s", f.StreamID, t.content(f.Data)) + when(f.EndStream, " END_STREAM")
	case frame.RSTStream:
		return fmt.Sprintf("RST_STREAM %d %v", f.StreamID, f.Code)
	case frame.Settings:
		return t.settings(f)
	case frame.Ping:
		return fmt.Sprintf("PING %q", f.Data[:]) + when(f.Ack, " ack")
	case frame.GoAway:
		debug := when(len(f.DebugData) > 0, fmt.Sprintf(" %q", f.DebugData))
		return fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.Code) + debug
	case frame.WindowUpdate:
		return fmt.Sprintf("WINDOW_UPDATE %d %d", f.StreamID, f.Increment)
	case fmt.Stringer:
		return f.String()
	}
	return fmt.Sprintf("%T %q", item, item)
}

// Lines writes each item in a line of its own.
func (t Text) Lines(items ...any) []string {
	lines := make([]string, len(items))
	for i, it := range items {
		lines[i] = t.Line(it)
	}
	return lines
}

func (t Text) block(b Block) string {
	var s strings.Builder
	if b.PromisedID != 0 {
		fmt.Fprintf(&s, "PUSH_PROMISE %d %d", b.StreamID, b.PromisedID)
	} else {
		fmt.Fprintf(&s, "HEADERS %d", b.StreamID)
	}
	for _, f := range b.Fields {
		if !slices.Contains(t.Omit, f.Name) {
			s.WriteString(" " + f.Name + "=" + f.Value)
		}
	}
	if b.Frames > 1 {
		fmt.Fprintf(&s, " in %d frames", b.Frames)
	}
	return s.String() + when(b.EndStream, " END_STREAM")
}

func (t Text) content(p []byte) string {
	if !t.Lengths && len(p) <= maxShown {
		return strconv.Quote(string(p))
	}
	return fmt.Sprintf("%d octets", len(p)) + when(t.Checksums, fmt.Sprintf(", checksum %08x", crc32.ChecksumIEEE(p)))
}

func (t Text) settings(f frame.Settings) string {
	var s strings.Builder
	s.WriteString("SETTINGS" + when(f.Ack, " ack"))
	if t.Brief {
		return s.String()
	}
	for set := range f.All() {
		fmt.Fprintf(&s, " %v", set)
	}
	return s.String()
}

func when(set bool, s string) string {
	if set {
		return s
	}
	return ""
}
