package page

import (
	"encoding/hex"
	"strconv"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// maxList is how many entries of a single list, such as the fields of a section, get into the page.
const maxList = 256

// shownPayload is how many octets of the payload of an unknown frame are shown.
const shownPayload = 32

// The bits of a field in the page; the lowest two are its capture.State.
const (
	fieldNeverIndex = 4
	fieldHidden     = 8
)

// frame appends a frame: what all frames have, then pairs of names and values of its type, and its
// fields.
func (e *encoder) frame(f *capture.Frame) {
	e.begin("f", f.Conn)
	e.uint(f.Number)
	e.time(f.Time)
	if f.First.IsZero() || f.First.After(f.Time) {
		e.int(0)
	} else {
		e.int(int64(f.Time.Sub(f.First)))
	}
	e.int(int64(f.Dir))
	e.uint(uint64(f.Header.Type))
	e.uint(uint64(f.Header.Flags))
	e.uint(uint64(f.Header.StreamID))
	e.uint(uint64(f.Header.Length))
	e.window(f.Window.Stream, f.Window.StreamKnown)
	e.window(f.Window.Conn, f.Window.ConnKnown)
	e.open('[')
	e.details(f)
	e.close(']')
	if len(f.Fields) > 0 {
		e.fields(f.Fields)
	}
	e.close(']')
}

// window appends a window, or null where it is unknown.
func (e *encoder) window(n int64, known bool) {
	if known {
		e.int(n)
		return
	}
	e.comma()
	e.b = append(e.b, "null"...)
}

// fields appends the lines of a header section.
func (e *encoder) fields(fs []capture.Field) {
	e.open('[')
	for i := range fs[:min(len(fs), maxList)] {
		f := &fs[i]
		e.open('[')
		e.string(f.Name)
		e.string(f.Value)
		bits := int64(f.State & 3)
		if f.NeverIndex {
			bits |= fieldNeverIndex
		}
		if f.Hidden {
			bits |= fieldHidden
		}
		e.int(bits)
		if f.State != capture.Known {
			e.uint(f.Index)
		}
		e.close(']')
	}
	if more := len(fs) - maxList; more > 0 {
		e.open('[')
		e.string("… and " + strconv.Itoa(more) + " more fields")
		e.string("")
		e.int(0)
		e.close(']')
	}
	e.close(']')
}

// pairText appends a name and a text.
func (e *encoder) pairText(k, v string) { e.string(k); e.string(v) }

// pairInt appends a name and a number.
func (e *encoder) pairInt(k string, v uint32) { e.string(k); e.uint(uint64(v)) }

// details appends what is particular to the type of a frame, as pairs.
func (e *encoder) details(f *capture.Frame) {
	if f.Parsed != nil {
		e.parsed(f)
	}
	if f.Padding > 0 {
		e.pairInt("padding", f.Padding)
	}
	if f.Trailer {
		e.pairText("section", "trailer")
	}
	if f.Tainted {
		e.pairText("tainted", "octets were lost before this block: names and values may be wrong")
	}
	if f.Missing > 0 {
		e.pairInt("missing octets", f.Missing)
	}
	if f.Err != nil {
		e.pairText("error", f.Err.Error())
	}
}

// parsed appends what package frame has made of a frame.
func (e *encoder) parsed(f *capture.Frame) {
	switch p := f.Parsed.(type) {
	case frame.Data:
		e.pairInt("data", f.DataLen)
	case frame.Headers:
		if p.HasPriority {
			e.priority(p.Priority)
		}
	case frame.Priority:
		e.priority(p.PriorityParam)
	case frame.RSTStream:
		e.pairText("error code", p.Code.String())
	case frame.Settings:
		e.settings(p)
	case frame.PushPromise:
		e.pairInt("promised stream", p.PromisedID)
	case frame.Ping:
		e.pairText("opaque data", hex.EncodeToString(p.Data[:]))
	case frame.GoAway:
		e.pairInt("last stream", p.LastStreamID)
		e.pairText("error code", p.Code.String())
		e.pairText("debug data", string(p.DebugData[:min(len(p.DebugData), maxText)]))
	case frame.WindowUpdate:
		e.pairInt("increment", p.Increment)
	default:
		e.extension(f.Parsed)
	}
}

// extension appends what is in a frame of an extension of HTTP/2.
func (e *encoder) extension(f frame.Frame) {
	switch p := f.(type) {
	case frame.PriorityUpdate:
		e.pairInt("prioritized stream", p.PrioritizedID)
		e.pairText("value", string(p.Value))
	case frame.AltSvc:
		e.pairText("origin", string(p.Origin))
		e.pairText("value", string(p.Value))
	case frame.Origin:
		n := 0
		for o := range p.All() {
			if n++; n > maxList {
				break
			}
			e.pairText("origin", string(o))
		}
	case frame.Unknown:
		more := ""
		if len(p.Payload) > shownPayload {
			more = "…"
		}
		e.pairText("payload", hex.EncodeToString(p.Payload[:min(len(p.Payload), shownPayload)])+more)
	}
}

// priority appends the priority of RFC 7540.
func (e *encoder) priority(p frame.PriorityParam) {
	e.pairInt("depends on", p.DependsOn)
	e.pairInt("weight", uint32(p.Weight)+1)
	if p.Exclusive {
		e.pairText("exclusive", "yes")
	}
}

// settings appends the parameters of SETTINGS.
func (e *encoder) settings(s frame.Settings) {
	for i := range min(s.Len(), maxList) {
		v := s.At(i)
		e.pairInt(v.ID.String(), v.Value)
	}
}

// names appends an object with the names of frame types, by number, and of their flags, by type.
func (e *encoder) names() {
	e.key("types")
	e.open('{')
	for t := range frame.Type(0x20) {
		if t.Known() {
			e.text(strconv.Itoa(int(t)), t.String())
		}
	}
	e.close('}')
	e.key("flags")
	e.open('{')
	for t := range frame.Type(0x20) {
		e.flagNames(t)
	}
	e.close('}')
}

// flagNames appends the names of the flags of a type, by bit.
func (e *encoder) flagNames(t frame.Type) {
	opened := false
	for bit := range 8 {
		name := frame.FlagString(t, 1<<bit)
		if len(name) > 1 && name[:2] == "0x" {
			continue
		}
		if !opened {
			e.key(strconv.Itoa(int(t)))
			e.open('{')
			opened = true
		}
		e.text(strconv.Itoa(1<<bit), name)
	}
	if opened {
		e.close('}')
	}
}
