package capture

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A script is a connection of which a test says every frame, and when it comes.
type script struct {
	t       *testing.T
	s       *session
	now     time.Time
	codec   [2]*h2test.Codec // by Dir
	started bool
	events  []Event
}

// epoch is when scripts begin.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newScript(t *testing.T, o Options) *script {
	p := &script{t: t, now: epoch, codec: [2]*h2test.Codec{h2test.NewCodec(), h2test.NewCodec()}}
	a := &analyzer{opts: o, handler: func(e Event) {
		switch e := e.(type) {
		case *Frame:
			c := *e
			p.events = append(p.events, &c)
		default:
			p.events = append(p.events, e)
		}
	}}
	addr := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	p.s = a.open(addr("192.0.2.1:40000"), addr("192.0.2.2:443"), epoch)
	return p
}

// start says that the protocol was found, once.
func (p *script) start() {
	if !p.started {
		p.started = true
		p.s.found(HTTP2, "preface")
	}
}

// at moves to a time in milliseconds since the beginning.
func (p *script) at(ms int) *script {
	p.now = epoch.Add(time.Duration(ms) * time.Millisecond)
	return p
}

func (p *script) client(items ...any) *script { return p.send(Client, items...) }

func (p *script) server(items ...any) *script { return p.send(Server, items...) }

// settle is the exchange of SETTINGS that connections begin with.
func (p *script) settle(client, server frame.Settings) *script {
	return p.client(client).server(server, h2test.Ack).client(h2test.Ack)
}

// send has frames come. The fields of a block are on the last of its frames.
func (p *script) send(d Dir, items ...any) *script {
	p.t.Helper()
	p.start()
	for _, it := range items {
		if f, ok := it.(*Frame); ok {
			f.Dir, f.First, f.Time = d, p.now, p.now
			p.s.deliver(f)
			continue
		}
		var fields []Field
		trailer := false
		if b, ok := it.(h2test.Block); ok {
			trailer = len(b.Fields) > 0 && b.Fields[0].Name[0] != ':'
			for _, f := range b.Fields {
				fields = append(fields, Field{Name: f.Name, Value: f.Value, NeverIndex: f.Sensitive})
			}
		}
		octets := p.codec[d].Append(nil, it)
		for len(octets) > 0 {
			h, payload, n, err := frame.Split(octets, frame.MaxMaxFrameSize)
			if err != nil || n == 0 {
				p.t.Fatalf("%v is no frame: %v", it, err)
			}
			octets = octets[n:]
			f := p.parse(d, h, payload)
			if len(octets) == 0 && h.Flags.Has(frame.FlagEndHeaders) {
				f.Fields, f.Trailer = fields, trailer
			}
			p.s.deliver(f)
		}
	}
	return p
}

// parse decodes a frame.
func (p *script) parse(d Dir, h frame.Header, payload []byte) *Frame {
	f := &Frame{Dir: d, First: p.now, Time: p.now, Header: h}
	f.Parsed, f.Err = frame.Parse(h, payload)
	if data, ok := f.Parsed.(frame.Data); ok {
		f.DataLen = uint32(len(data.Data))
		f.Padding = h.Length - f.DataLen
		data.Data = nil
		f.Parsed = data
	}
	return f
}

// end ends the connection.
func (p *script) end(how wire.How) *script {
	p.start()
	p.s.end(p.now, how)
	return p
}

// of returns the events of a kind.
func of[T Event](p *script) (list []T) {
	for _, e := range p.events {
		if e, ok := e.(T); ok {
			list = append(list, e)
		}
	}
	return list
}
