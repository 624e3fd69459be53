package inspect

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// frame writes a frame: a line, and one for each field of a header block.
func (x *text) frame(f *capture.Frame) {
	arrow, s := x.side(f.Dir)
	x.line(f.Conn, f.Time, arrow, s)
	from := len(x.b)
	x.put(f.Header.Type.String())
	name := string(x.b[from:])
	x.b = x.colors.typ.add(x.b[:from], name)
	for n := len(name); n < len("PRIORITY_UPDATE"); n++ {
		x.put(" ")
	}
	from = len(x.b)
	x.num(int64(f.Header.StreamID))
	x.right(from, 5)
	if f.Header.Flags != 0 {
		x.put("  ")
		x.put(frame.FlagString(f.Header.Type, f.Header.Flags))
	}
	x.put("  ")
	x.length(f)
	x.payload(f.Parsed)
	x.window(&f.Window)
	if f.Trailer {
		x.put("  trailers")
	}
	if f.Missing > 0 {
		x.put("  ")
		x.b = x.colors.bad.add(x.b, countText(int64(f.Missing), "octet")+" missing")
	}
	if f.Err != nil {
		x.put("  ")
		x.b = x.colors.bad.add(x.b, escaped(f.Err.Error()))
	}
	x.put("\n")
	if f.Tainted {
		x.put(indent)
		x.b = x.colors.warn.add(x.b, "octets were lost before this block: fields may be wrong")
		x.put("\n")
	}
	x.fields(f.Fields)
}

// length writes how long a frame is, and how much of it is padding.
func (x *text) length(f *capture.Frame) {
	n := int64(f.Header.Length)
	if f.Padding > 0 {
		n = int64(f.DataLen)
		if f.Header.Type != frame.TypeData {
			n = int64(f.Header.Length) - int64(f.Padding)
		}
	}
	x.num(n)
	x.put(" octets")
	if f.Padding > 0 {
		x.put(" and ")
		x.num(int64(f.Padding) - 1)
		x.put(" of padding")
	}
}

// window writes the windows that are known.
func (x *text) window(w *capture.Windows) {
	if !w.StreamKnown && !w.ConnKnown {
		return
	}
	x.put("  ")
	x.b = append(x.b, x.colors.dim.on...)
	x.put("window")
	if w.StreamKnown {
		x.put(" ")
		x.num(w.Stream)
	}
	if w.StreamKnown && w.ConnKnown {
		x.put(",")
	}
	if w.ConnKnown {
		x.put(" of the connection ")
		x.num(w.Conn)
	}
	x.b = append(x.b, x.colors.dim.off...)
}

// payload writes the fields of the payload of a frame.
func (x *text) payload(parsed frame.Frame) {
	switch f := parsed.(type) {
	case frame.Headers:
		if f.HasPriority {
			x.priority(f.Priority)
		}
	case frame.Priority:
		x.priority(f.PriorityParam)
	case frame.RSTStream:
		x.put("  ")
		x.put(f.Code.String())
	case frame.Settings:
		for s := range f.All() {
			x.put("  ")
			x.put(strings.TrimPrefix(s.String(), "SETTINGS_"))
		}
	case frame.PushPromise:
		x.put("  promises stream ")
		x.num(int64(f.PromisedID))
	case frame.Ping:
		x.put("  ")
		x.put(hex.EncodeToString(f.Data[:]))
	case frame.GoAway:
		x.put("  " + f.Code.String() + "  last stream ")
		x.num(int64(f.LastStreamID))
		if len(f.DebugData) > 0 {
			x.put("  debug data: ")
			x.b = appendEscaped(x.b, f.DebugData)
		}
	case frame.WindowUpdate:
		x.put("  +")
		x.num(int64(f.Increment))
	default:
		x.extension(parsed)
	}
}

// extension writes the fields of the payload of a frame that is not one of RFC 9113 §6.
func (x *text) extension(parsed frame.Frame) {
	switch f := parsed.(type) {
	case frame.AltSvc:
		if len(f.Origin) > 0 {
			x.put("  ")
			x.b = appendEscaped(x.b, f.Origin)
		}
		x.put("  ")
		x.b = appendEscaped(x.b, f.Value)
	case frame.Origin:
		for origin := range f.All() {
			x.put("  ")
			x.b = appendEscaped(x.b, origin)
		}
	case frame.PriorityUpdate:
		x.put("  stream ")
		x.num(int64(f.PrioritizedID))
		x.put(": ")
		x.b = appendEscaped(x.b, f.Value)
	case frame.Unknown:
		x.put("  ")
		x.b = hex.AppendEncode(x.b, f.Payload[:min(len(f.Payload), maxPayload)])
		if len(f.Payload) > maxPayload {
			x.put("…")
		}
	}
}

// maxPayload bounds the octets of an unknown frame that are shown.
const maxPayload = 64

// priority writes a place in the tree of RFC 7540 §5.3.
func (x *text) priority(p frame.PriorityParam) {
	x.put("  depends on ")
	x.num(int64(p.DependsOn))
	if p.Exclusive {
		x.put(" exclusively")
	}
	x.put(", weight ")
	x.num(int64(p.Weight) + 1)
}

// fields writes a header section: the pseudo-header fields of a request or response in one line,
// where they are as they should be, and then each field in its own.
func (x *text) fields(fields []capture.Field) {
	line, n := startLine(fields)
	if n > 0 {
		x.put(indent)
		x.b = append(x.b, x.colors.bold.on...)
		x.say(line)
		x.b = append(x.b, x.colors.bold.off...)
		x.put("\n")
	}
	for i := range fields[n:] {
		x.field(&fields[n+i])
	}
}

// startLine returns the pseudo-header fields of a section as one line, and their number: 0 where
// they are not known, or not what RFC 9113 §8.3 has.
func startLine(fields []capture.Field) (string, int) {
	values := make(map[string]string, 5)
	n := 0
	for ; n < len(fields) && strings.HasPrefix(fields[n].Name, ":"); n++ {
		f := &fields[n]
		if _, twice := values[f.Name]; twice || f.State != capture.Known {
			return "", 0
		}
		values[f.Name] = f.Value
	}
	if status, ok := values[":status"]; ok && n == 1 {
		return status, 1
	}
	method, ok := values[":method"]
	if !ok || values[":status"] != "" {
		return "", 0
	}
	line := method + " "
	if scheme := values[":scheme"]; scheme != "" {
		line += scheme + "://"
	}
	line += values[":authority"] + values[":path"]
	known := 0
	for _, name := range []string{":method", ":scheme", ":authority", ":path", ":protocol"} {
		if _, ok := values[name]; ok {
			known++
		}
	}
	if protocol, ok := values[":protocol"]; ok {
		line += "  :protocol " + protocol
	}
	if known != n {
		return "", 0
	}
	return line, n
}

// field writes a field.
func (x *text) field(f *capture.Field) {
	x.put(indent)
	x.b = append(x.b, x.colors.name.on...)
	if f.Name == "" && f.State != capture.Known {
		x.put("?")
	}
	x.say(f.Name)
	x.b = append(x.b, x.colors.name.off...)
	x.put(": ")
	if f.Value == "" && f.State == capture.UnknownField {
		x.put("?")
	}
	x.say(f.Value)
	var notes []string
	switch f.State {
	case capture.Known:
	case capture.UnknownField:
		notes = append(notes, "index "+strconv.FormatUint(f.Index, 10)+", sent before the capture")
	case capture.Tainted:
		note := "uncertain"
		if f.Index > 0 {
			note += ": index " + strconv.FormatUint(f.Index, 10) + " behind lost octets"
		}
		notes = append(notes, note)
	}
	if f.NeverIndex {
		notes = append(notes, "never indexed")
	}
	if len(notes) > 0 {
		x.put("  ")
		x.b = x.colors.dim.add(x.b, "("+strings.Join(notes, "; ")+")")
	}
	x.put("\n")
}

// request writes an exchange that is over in one line.
func (x *text) request(e *capture.Request) {
	at := e.End
	if at.IsZero() {
		at = e.Start
	}
	x.line(e.Conn, at, "=", x.colors.dim)
	x.put("request ")
	x.num(int64(e.Stream))
	if e.Pushed {
		x.put(" (pushed)")
	}
	x.put(": ")
	x.say(e.Method + " " + requestTarget(e))
	x.put(" ")
	x.b = x.status(e).add(x.b, outcome(e))
	x.put(", " + sizeText(e.Body[capture.Server]) + " in " + durationText(at.Sub(e.Start)))
	if waits := waitsText(&e.Wait); waits != "" {
		x.put("; " + waits)
	}
	if g := e.GRPC; g != nil {
		x.put("; gRPC status " + strconv.Itoa(g.Status))
		if g.Message != "" {
			x.put(" ")
			x.say(g.Message)
		}
		x.put(", messages ")
		x.messages(g, capture.Client)
		x.put(" → ")
		x.messages(g, capture.Server)
		x.put(" ←")
	}
	x.put("\n")
}

// requestTarget is what was asked for.
func requestTarget(e *capture.Request) string {
	if e.Scheme == "" {
		return e.Authority + e.Path
	}
	return e.Scheme + "://" + e.Authority + e.Path
}

// outcome is the status of a response, or what happened in its place.
func outcome(e *capture.Request) string {
	s := "no response"
	if e.Status != 0 {
		s = strconv.Itoa(e.Status)
	}
	if e.ResetBy != "" {
		s += ", reset by the " + e.ResetBy + " with " + e.ResetCode.String()
	} else if !e.Complete {
		s += ", not complete"
	}
	return s
}

// status is the style of an outcome.
func (x *text) status(e *capture.Request) style {
	switch {
	case e.ResetBy != "" && e.ResetCode != frame.NoError || e.Status >= 500:
		return x.colors.bad
	case e.Status == 0 || e.Status >= 400:
		return x.colors.warn
	default:
		return x.colors.good
	}
}

// waitsText says what a request has waited for.
func waitsText(w *capture.Wait) string {
	var parts []string
	for _, p := range []struct {
		what string
		d    time.Duration
	}{
		{"for a stream", w.Concurrency},
		{"for the server", w.Server},
		{"for the stream's window", w.Stream},
		{"for the connection's window", w.Connection},
		{"for the network", w.Network},
	} {
		if p.d >= time.Microsecond {
			parts = append(parts, durationText(p.d)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "waited " + strings.Join(parts, ", ")
}
