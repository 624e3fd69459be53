package capture

import (
	"sync"

	"github.com/sluice-go/sluice/frame"
)

// maxPayloadJSON bounds the octets of a frame of unknown type that are shown.
const maxPayloadJSON = 256

// frameJSON adds what a Frame has.
func frameJSON(o *jsonObject, f *Frame) {
	o.num("number", int64(f.Number))
	o.time("time", f.Time)
	if !f.First.Equal(f.Time) {
		o.time("first", f.First)
	}
	o.str("dir", f.Dir.String())
	o.str("type", f.Header.Type.String())
	if !f.Header.Type.Known() {
		o.num("type_number", int64(f.Header.Type))
	}
	o.num("stream", int64(f.Header.StreamID))
	flagsJSON(o, f.Header)
	o.num("length", int64(f.Header.Length))
	o.numIf("data_length", int64(f.DataLen))
	if f.Padding > 0 { // which has the Pad Length field, too
		o.num("pad_length", int64(f.Padding)-1)
	}
	payloadJSON(o, f.Parsed)
	windowJSON(o, &f.Window)
	fieldsJSON(o, "fields", f.Fields)
	o.flag("trailer", f.Trailer)
	o.flag("tainted", f.Tainted)
	o.numIf("missing", int64(f.Missing))
	if f.Err != nil {
		o.str("error", f.Err.Error())
	}
}

// windowJSON adds the windows that are known.
func windowJSON(o *jsonObject, w *Windows) {
	if !w.StreamKnown && !w.ConnKnown {
		return
	}
	o.key("window")
	o.b = append(o.b, '{')
	o.next = false
	if w.StreamKnown {
		o.num("stream", w.Stream)
	}
	if w.ConnKnown {
		o.num("conn", w.Conn)
	}
	o.b = append(o.b, '}')
	o.next = true
}

// bitNames has the name of each flag of each type.
var bitNames = sync.OnceValue(func() *[256][8]string {
	names := new([256][8]string)
	for typ := range names {
		for bit := range 8 {
			names[typ][bit] = frame.FlagString(frame.Type(typ), 1<<bit)
		}
	}
	return names
})

// flagsJSON adds the names of flags; those without a meaning are hexadecimal numbers.
func flagsJSON(o *jsonObject, h frame.Header) {
	o.key("flags")
	o.b = append(o.b, '[')
	if h.Flags != 0 {
		names := bitNames()[h.Type]
		first := true
		for bit := range 8 {
			if !h.Flags.Has(1 << bit) {
				continue
			}
			if !first {
				o.b = append(o.b, ',')
			}
			first = false
			o.b = appendString(o.b, names[bit])
		}
	}
	o.b = append(o.b, ']')
}

// fieldsJSON adds a header section, if there is one.
func fieldsJSON(o *jsonObject, name string, fields []Field) {
	if fields == nil {
		return
	}
	o.objects(name, len(fields), func(i int) {
		f := &fields[i]
		o.octets("name", f.Name)
		o.octets("value", f.Value)
		o.str("state", f.State.String())
		o.numIf("index", int64(f.Index))
		o.flag("never_index", f.NeverIndex)
		o.flag("hidden", f.Hidden)
	})
}

// codeJSON adds an error code.
func codeJSON(o *jsonObject, name string, c frame.Code) {
	o.object(name, func() {
		o.num("code", int64(c))
		o.str("name", c.String())
	})
}

// priorityJSON adds a place in the dependency tree of RFC 7540 §5.3.
func priorityJSON(o *jsonObject, p frame.PriorityParam) {
	o.object("priority", func() {
		o.num("depends_on", int64(p.DependsOn))
		o.num("weight", int64(p.Weight)+1)
		o.flag("exclusive", p.Exclusive)
	})
}

// payloadJSON adds the fields of the payload, by type.
func payloadJSON(o *jsonObject, parsed frame.Frame) {
	switch f := parsed.(type) {
	case frame.Headers:
		if f.HasPriority {
			priorityJSON(o, f.Priority)
		}
	case frame.Priority:
		priorityJSON(o, f.PriorityParam)
	case frame.RSTStream:
		codeJSON(o, "error_code", f.Code)
	case frame.Settings:
		settingsJSON(o, f)
	case frame.PushPromise:
		o.num("promised_stream", int64(f.PromisedID))
	case frame.Ping:
		o.hex("opaque", f.Data[:])
	case frame.GoAway:
		o.num("last_stream", int64(f.LastStreamID))
		codeJSON(o, "error_code", f.Code)
		o.octetsIf("debug", string(f.DebugData))
	case frame.WindowUpdate:
		o.num("increment", int64(f.Increment))
	default:
		extensionJSON(o, parsed)
	}
}

// settingsJSON adds settings in their order; an acknowledgement has none.
func settingsJSON(o *jsonObject, f frame.Settings) {
	if f.Ack {
		return
	}
	o.objects("settings", f.Len(), func(i int) {
		s := f.At(i)
		o.num("id", int64(s.ID))
		o.str("name", s.ID.String())
		o.num("value", int64(s.Value))
	})
}

// extensionJSON adds the fields of the payload of a frame that is not one of RFC 9113 §6.
func extensionJSON(o *jsonObject, parsed frame.Frame) {
	switch f := parsed.(type) {
	case frame.AltSvc:
		o.object("altsvc", func() {
			o.octetsIf("origin", string(f.Origin))
			o.octets("value", string(f.Value))
		})
	case frame.Origin:
		var origins []string
		for origin := range f.All() {
			origins = append(origins, string(origin))
		}
		o.texts("origins", origins)
	case frame.PriorityUpdate:
		o.object("priority_update", func() {
			o.num("prioritized_stream", int64(f.PrioritizedID))
			o.octets("value", string(f.Value))
		})
	case frame.Unknown:
		o.hex("payload", f.Payload[:min(len(f.Payload), maxPayloadJSON)])
	}
}
