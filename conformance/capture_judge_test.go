package conformance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/internal/tsharktest"
)

// A judgedFrame is what two readers of a capture have to agree on, in words that do not depend on
// the reader.
type judgedFrame struct {
	From   string // port of the sender
	To     string
	Type   int
	Stream int64
	Flags  int
	Length int64
	Pad    int64
	Detail string   // fields of the payload
	Fields []string // of a header block, on the frame that ends it
}

// judgedStream has the frames of one direction of a connection, in order.
type judgedStream = map[string][]judgedFrame

// A jsonNode is a value of JSON, with members in order and with those that have the same name.
type jsonNode struct {
	name    string
	text    string // of a string, number or such
	members []*jsonNode
}

// decodeNode decodes the next value.
func decodeNode(d *json.Decoder, name string) (*jsonNode, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &jsonNode{name: name}
	delim, ok := token.(json.Delim)
	if !ok {
		n.text = fmt.Sprint(token)
		return n, nil
	}
	for d.More() {
		member := ""
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			member = key.(string)
		}
		child, err := decodeNode(d, member)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, child)
	}
	_, err = d.Token() // the end
	return n, err
}

// all returns the members with a name.
func (n *jsonNode) all(name string) (found []*jsonNode) {
	for _, m := range n.members {
		if m.name == name {
			found = append(found, m)
		}
	}
	return found
}

// get returns the text of the first member with a name.
func (n *jsonNode) get(name string) string {
	for _, m := range n.members {
		if m.name == name {
			return m.text
		}
	}
	return ""
}

// deep returns the text of the first member with a name, at any depth.
func (n *jsonNode) deep(name string) string {
	for _, m := range n.members {
		if m.name == name {
			return m.text
		}
		if s := m.deep(name); s != "" {
			return s
		}
	}
	return ""
}

func (n *jsonNode) num(name string) int64 {
	v, _ := strconv.ParseInt(n.deep(name), 0, 64) // "" is 0
	return v
}

// tsharkFrames has tshark read a capture, and returns the frames by direction.
func tsharkFrames(t *testing.T, file, keyLog string, args ...string) judgedStream {
	t.Helper()
	// A busy machine loses and reorders segments on the loopback interface, too.
	order := []string{"-o", "tcp.reassemble_out_of_order:TRUE"}
	args = slices.Concat(
		tsharktest.Args(t), []string{"-r", file, "-Y", "http2", "-T", "json", "-J", "tcp http2"}, order, args)
	if keyLog != "" {
		args = append(args, "-o", "tls.keylog_file:"+keyLog)
	}
	out := mustRunPeer(t, requirePeer(t, "tshark"), args...).stdout
	d := json.NewDecoder(strings.NewReader(out))
	d.UseNumber()
	root, err := decodeNode(d, "")
	if err != nil {
		t.Fatalf("tshark's JSON: %v\n%s", err, clip(out))
	}
	frames := judgedStream{}
	for _, packet := range root.members {
		layers := packet.all("_source")[0].all("layers")[0]
		tcp := layers.all("tcp")[0]
		from, to := tcp.get("tcp.srcport"), tcp.get("tcp.dstport")
		for _, layer := range layers.all("http2") {
			for _, s := range layer.all("http2.stream") {
				if s.get("http2.magic") != "" {
					continue
				}
				f := tsharkFrame(s)
				f.From, f.To = from, to
				frames[from+">"+to] = append(frames[from+">"+to], f)
			}
		}
	}
	for _, list := range frames {
		joinBlocks(list)
	}
	return frames
}

// joinBlocks puts the fields of a block on the frame that ends it. Where CONTINUATION follows,
// tshark has on each frame those that it completes.
func joinBlocks(frames []judgedFrame) {
	var fields []string
	for i := range frames {
		f := &frames[i]
		if f.Type != 1 && f.Type != 5 && f.Type != 9 {
			continue
		}
		fields = append(fields, f.Fields...)
		f.Fields = nil
		if f.Flags&4 != 0 {
			f.Fields, fields = fields, nil
		}
	}
}

// sameFrames reports the first difference of each direction.
func sameFrames(t *testing.T, who string, want, got judgedStream) {
	t.Helper()
	for direction := range got {
		if want[direction] == nil {
			t.Errorf("%s: %s has no frames, sluice has %d", direction, who, len(got[direction]))
		}
	}
	for direction, list := range want {
		for i, f := range list {
			if i == len(got[direction]) {
				t.Errorf("%s: sluice has %d frames, %s has %d; the next one is %s", direction, i, who, len(list), brief(f))
				break
			}
			if g := got[direction][i]; !reflect.DeepEqual(f, g) {
				t.Errorf("%s: frame %d\n%s: %s\nsluice: %s", direction, i+1, who, brief(f), brief(g))
				break
			}
		}
		if n := len(got[direction]); n > len(list) {
			t.Errorf("%s: sluice has %d frames, %s has %d", direction, n, who, len(list))
		}
	}
}

// brief is a frame with long values cut.
func brief(f judgedFrame) string {
	s := fmt.Sprintf(
		"type %d stream %d flags %#x length %d pad %d %s", f.Type, f.Stream, f.Flags, f.Length, f.Pad, f.Detail,
	)
	for _, field := range f.Fields {
		if len(field) > 100 {
			field = fmt.Sprintf("%s… (%d octets)", field[:100], len(field))
		}
		s += fmt.Sprintf("\n\t%q", field)
	}
	return s
}

// tsharkFrame reads a frame as tshark has it.
func tsharkFrame(s *jsonNode) judgedFrame {
	f := judgedFrame{
		Type: int(s.num("http2.type")), Stream: s.num("http2.streamid"), Flags: int(s.num("http2.flags")),
		Length: s.num("http2.length"), Pad: s.num("http2.pad_length"),
	}
	f.Detail = tsharkDetail(s, f.Type, f.Flags)
	for _, h := range s.all("http2.header") {
		f.Fields = append(f.Fields, h.get("http2.header.name")+": "+h.get("http2.header.value"))
	}
	return f
}

// tsharkDetail has the fields of the payload of a frame.
func tsharkDetail(s *jsonNode, typ, flags int) string {
	priority := func() string {
		exclusive := s.deep("http2.exclusive") == "1"
		return fmt.Sprintf(
			"priority %d %d %t", s.num("http2.stream_dependency"), s.num("http2.headers.weight")+1, exclusive,
		)
	}
	switch typ {
	case 1:
		if flags&0x20 != 0 {
			return priority()
		}
	case 2:
		return priority()
	case 3:
		return fmt.Sprint("code ", s.num("http2.rst_stream.error"))
	case 4:
		var settings []string
		for _, one := range s.all("http2.settings") {
			settings = append(settings, fmt.Sprintf("%s=%s", one.get("http2.settings.id"), one.members[1].text))
		}
		return strings.Join(settings, " ")
	case 5:
		return fmt.Sprint("promises ", s.num("http2.push_promise.promised_stream_id"))
	case 6:
		return strings.ReplaceAll(s.deep("http2.ping")+s.deep("http2.pong"), ":", "")
	case 7:
		debug, _ := hex.DecodeString(strings.ReplaceAll(s.deep("http2.goaway.addata"), ":", ""))
		return fmt.Sprintf(
			"last %d code %d %q", s.num("http2.goaway.last_stream_id"), s.num("http2.goaway.error"), debug,
		)
	case 8:
		return fmt.Sprint("increment ", s.num("http2.window_update.window_size_increment"))
	case 10:
		return fmt.Sprintf("altsvc %q %q", s.deep("http2.altsvc.origin"), s.deep("http2.altsvc.field_value"))
	case 12:
		var origins []string
		for _, one := range s.all("http2.origin") {
			for _, m := range one.members {
				if m.name == "http2.origin.origin" {
					origins = append(origins, m.text)
				}
			}
		}
		return fmt.Sprintf("origins %q", origins)
	case 16:
		return fmt.Sprintf(
			"priority of %d: %s", s.num("http2.priority_update_stream_id"), s.deep("http2.priority_update_field_value"),
		)
	}
	return ""
}

// ourFrames reads the lines of JSON that sluice inspect prints, and returns frames by direction.
func ourFrames(t *testing.T, lines []byte) judgedStream {
	t.Helper()
	type ends struct{ client, server string }
	conns := map[int]ends{}
	frames := judgedStream{}
	for line := range bytes.Lines(lines) {
		var e ourEvent
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch e.Kind {
		case "connection":
			port := func(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
			conns[e.Conn] = ends{port(e.Client), port(e.Server)}
		case "frame":
			from, to := conns[e.Conn].client, conns[e.Conn].server
			if e.Dir == "server" {
				from, to = to, from
			}
			f := e.judged(t)
			f.From, f.To = from, to
			frames[from+">"+to] = append(frames[from+">"+to], f)
		}
	}
	return frames
}

// An ourEvent has the members of a line of JSON that are compared.
type ourEvent struct {
	Kind, Dir, Type, Opaque, Debug, Client, Server string
	Conn                                           int
	TypeNumber                                     int `json:"type_number"`
	Stream, Length                                 int64
	PadLength                                      int64 `json:"pad_length"`
	LastStream                                     int64 `json:"last_stream"`
	PromisedStream                                 int64 `json:"promised_stream"`
	Increment                                      int64
	Flags, Origins                                 []string
	Fields                                         []struct{ Name, Value, State string }
	Settings                                       []struct {
		ID    int
		Name  string
		Value int64
	}
	Priority *struct {
		DependsOn int64 `json:"depends_on"`
		Weight    int64
		Exclusive bool
	}
	ErrorCode *struct {
		Code int64
		Name string
	} `json:"error_code"`
	AltSvc         *struct{ Origin, Value string }
	PriorityUpdate *struct {
		Stream int64 `json:"prioritized_stream"`
		Value  string
	} `json:"priority_update"`
	Missing  int64
	Tainted  bool
	Error    string
	Octets   json.RawMessage
	Reason   string
	Severity string
	Rule     string
	Text     string
	Problem  string
}

// Types and flags of frames by their names in RFC 9113 and its extensions, written down here once
// more so that a mistake in the program does not agree with itself.
var (
	typeNumbers = map[string]int{
		"DATA": 0, "HEADERS": 1, "PRIORITY": 2, "RST_STREAM": 3, "SETTINGS": 4, "PUSH_PROMISE": 5, "PING": 6, "GOAWAY": 7,
		"WINDOW_UPDATE": 8, "CONTINUATION": 9, "ALTSVC": 10, "ORIGIN": 12, "PRIORITY_UPDATE": 16,
	}
	flagBits = map[string]int{"END_STREAM": 1, "ACK": 1, "END_HEADERS": 4, "PADDED": 8, "PRIORITY": 32}
)

// judged is a frame in the words of a judgedFrame.
func (e *ourEvent) judged(t *testing.T) judgedFrame {
	t.Helper()
	typ, known := typeNumbers[e.Type]
	if !known {
		typ = e.TypeNumber
	}
	f := judgedFrame{Type: typ, Stream: e.Stream, Length: e.Length, Pad: e.PadLength}
	for _, name := range e.Flags {
		bit, known := flagBits[name]
		if !known {
			n, err := strconv.ParseInt(name, 0, 16)
			if err != nil {
				t.Errorf("flag %s: %v", name, err)
			}
			bit = int(n)
		}
		f.Flags |= bit
	}
	for _, h := range e.Fields {
		if h.State != "known" {
			h.Value += " (" + h.State + ")"
		}
		f.Fields = append(f.Fields, h.Name+": "+h.Value)
	}
	f.Detail = e.detail(typ)
	return f
}

// detail has the fields of the payload of a frame.
func (e *ourEvent) detail(typ int) string {
	switch {
	case e.Priority != nil:
		return fmt.Sprintf("priority %d %d %t", e.Priority.DependsOn, e.Priority.Weight, e.Priority.Exclusive)
	case typ == 7 && e.ErrorCode != nil:
		return fmt.Sprintf("last %d code %d %q", e.LastStream, e.ErrorCode.Code, e.Debug)
	case e.ErrorCode != nil:
		return fmt.Sprint("code ", e.ErrorCode.Code)
	case e.Settings != nil:
		var settings []string
		for _, s := range e.Settings {
			settings = append(settings, fmt.Sprintf("%d=%d", s.ID, s.Value))
		}
		return strings.Join(settings, " ")
	case typ == 5:
		return fmt.Sprint("promises ", e.PromisedStream)
	case typ == 8:
		return fmt.Sprint("increment ", e.Increment)
	case e.AltSvc != nil:
		return fmt.Sprintf("altsvc %q %q", e.AltSvc.Origin, e.AltSvc.Value)
	case e.Origins != nil:
		return fmt.Sprintf("origins %q", e.Origins)
	case e.PriorityUpdate != nil:
		return fmt.Sprintf("priority of %d: %s", e.PriorityUpdate.Stream, e.PriorityUpdate.Value)
	}
	return e.Opaque
}
