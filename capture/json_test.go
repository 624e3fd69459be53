package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
)

var jsonTime = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("", 3600))

func at(ms int) time.Time { return jsonTime.Add(time.Duration(ms) * time.Millisecond) }

// parsedFrame is a Frame with what f is on the wire.
func parsedFrame(f frame.Frame) *Frame {
	return &Frame{Conn: 1, Number: 7, First: at(0), Time: at(0), Dir: Server, Header: f.FrameHeader(), Parsed: f}
}

// fullFields are fields with every member.
var fullFields = []Field{
	{Name: ":path", Value: "/"},
	{Name: "authorization", Value: "(hidden)", NeverIndex: true, Hidden: true},
	{Name: "x", State: UnknownField, Index: 70},
	{Name: "y", Value: "z", State: Tainted, Index: 62},
}

// fullEvents have every member of every kind.
func fullEvents() []Event {
	headers := parsedFrame(frame.Headers{
		StreamID: 3, EndStream: true, EndHeaders: true, Padded: true, PadLength: 4, HasPriority: true,
		Priority: frame.PriorityParam{DependsOn: 1, Exclusive: true, Weight: 255}, Fragment: []byte{0x82},
	})
	headers.First, headers.Padding = at(-1), 5
	headers.Window = Windows{Stream: 1, Conn: 2, StreamKnown: true, ConnKnown: true}
	headers.Fields, headers.Trailer, headers.Tainted = fullFields, true, true
	bad := parsedFrame(frame.Data{StreamID: 3, Padded: true, Data: []byte("data")})
	bad.DataLen, bad.Missing, bad.Parsed, bad.Err = 4, 2, nil, errors.New("frame: wrong")
	return []Event{
		&Connection{
			ID: 1, Time: at(0), Connected: at(2), Client: netip.MustParseAddrPort("192.0.2.1:50000"),
			Server: netip.MustParseAddrPort("[2001:db8::1]:443"), Protocol: HTTP2, Found: "alpn", Parent: 2,
			ParentStream: 5, Twin: 3, StartMissing: true, Leg: "client", Problem: "no key",
			TLS: &TLS{
				Version: 0x304, CipherSuite: 0x1301, ALPN: "h2", Offered: []string{"h2", "http/1.1"},
				ServerName: "example.com", ClientRandom: []byte{0xab, 0xcd}, Resumed: true, HelloRetry: true,
				EarlyData: true, Encrypted: true, Start: at(3), Finished: at(9),
			},
		},
		headers, bad,
		parsedFrame(frame.Priority{StreamID: 5, PriorityParam: frame.PriorityParam{Weight: 15}}),
		parsedFrame(frame.RSTStream{StreamID: 3, Code: frame.Cancel}),
		parsedFrame(frame.NewSettings(frame.Setting{ID: frame.SettingMaxFrameSize, Value: 1 << 15}, frame.Setting{ID: 42})),
		parsedFrame(frame.Settings{Ack: true}),
		parsedFrame(frame.PushPromise{StreamID: 3, PromisedID: 2, EndHeaders: true}),
		parsedFrame(frame.Ping{Ack: true, Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 0xff}}),
		parsedFrame(frame.GoAway{LastStreamID: 9, Code: 99, DebugData: []byte("bye")}),
		parsedFrame(frame.WindowUpdate{Increment: 65535}),
		parsedFrame(frame.AltSvc{Origin: []byte("https://a.example"), Value: []byte(`h3=":443"`)}),
		parsedFrame(frame.NewOrigin("https://a.example", "https://b.example")),
		parsedFrame(frame.PriorityUpdate{PrioritizedID: 7, Value: []byte("u=1, i")}),
		parsedFrame(frame.Unknown{Header: frame.Header{Type: 0xbe, Flags: 0x41, StreamID: 1}, Payload: []byte{1, 0xff}}),
		fullRequest(),
		&Stall{
			Conn: 1, Stream: 3, Dir: Server, Window: BothWindows, Start: at(0), End: at(1500),
			EndedBy: "WINDOW_UPDATE on stream 0", Frame: 8, Periods: 2, Blocked: 900 * time.Millisecond,
		},
		&Finding{
			Conn: 1, Stream: 3, Frame: 8, Time: at(0), Dir: Server, Rule: "r", Section: "RFC 9113 §5.1", Severity: Warning,
			Text: "wrong",
		},
		&Gap{
			Conn: 1, Time: at(0), Dir: Server, Stream: 3, Octets: 1448, Skipped: 7, Reason: "lost",
			Text: "1448 octets are missing",
		},
		&Gap{Conn: 1, Time: at(0), Octets: -1, Reason: "start"},
		&Body{Conn: 1, Stream: 3, Time: at(0), Dir: Server, Octets: []byte("text\n"), Lost: 5, End: true},
		&Body{Conn: 1, Stream: 3, Time: at(0), Dir: Server, Octets: []byte{0xff, 0}},
		&Message{
			Conn: 1, Stream: 1, Time: at(0), Line: "GET / HTTP/1.1", Fields: fullFields, Trailer: true,
			Problems: []string{"two Content-Length"},
		},
		&End{
			Conn: 1, Time: at(9), How: "closed", Frames: 8, Requests: 2, Octets: [2]int64{10, 20}, Lost: [2]int64{0, 1448},
		},
	}
}

func fullRequest() *Request {
	return &Request{
		Conn: 1, Stream: 2, Method: "GET", Scheme: "https", Authority: "example.com", Path: "/", Protocol: "websocket",
		Status: 200, Fields: [2][]Field{fullFields, fullFields}, Trailers: [2][]Field{fullFields, fullFields},
		Interim: []Interim{{Status: 100}, {Time: at(1), Status: 103, Fields: fullFields}},
		Pushed:  true, Parent: 1, Priority: "u=2", Weight: 16, DependsOn: 3, Exclusive: true,
		Start: at(0), RequestEnd: at(1), Response: at(2), FirstData: at(3), End: at(4), Body: [2]int64{1, 2},
		Wire: [2]int64{3, 4}, ResetBy: "client", ResetCode: frame.Cancel, Complete: true, ContentType: "text/html",
		Version: "HTTP/2", Reason: "OK", Upgraded: true, GoAway: true, StartMissing: true, Lossy: true, Problem: "x",
		GRPC: &GRPC{
			Encoding: [2]string{"gzip", "gzip"}, Web: true,
			Method: "/p.S/M", Messages: [2][]int64{{5}, {6, 7}}, Count: [2]int64{1, 2}, Status: 5, Message: "not found",
		},
		Wait:       Wait{time.Millisecond, 1500 * time.Microsecond, 3, 0, time.Second},
		DataChunks: []Chunk{{at(3), 2}},
	}
}

func TestAppendJSON(t *testing.T) {
	const head = `"conn":1,"number":7,"time":"2026-01-02T02:04:05.678901234Z","dir":"server",`
	for _, tt := range []struct {
		name string
		e    Event
		want string
	}{
		{
			"DATA", &Frame{
				Conn: 1, Number: 7, First: at(0), Time: at(0), Dir: Server, DataLen: 4,
				Header: frame.Header{Length: 4, Flags: frame.FlagEndStream, StreamID: 5},
			},
			`{"kind":"frame",` + head + `"type":"DATA","stream":5,"flags":["END_STREAM"],"length":4,"data_length":4}`,
		},
		{
			"RST_STREAM", parsedFrame(frame.RSTStream{StreamID: 3, Code: frame.Cancel}),
			`{"kind":"frame",` + head + `"type":"RST_STREAM","stream":3,"flags":[],"length":4,` +
				`"error_code":{"code":8,"name":"CANCEL"}}`,
		},
		{
			"SETTINGS", parsedFrame(frame.NewSettings(frame.Setting{ID: 4, Value: 1 << 31}, frame.Setting{ID: 42})),
			`{"kind":"frame",` + head + `"type":"SETTINGS","stream":0,"flags":[],"length":12,"settings":[` +
				`{"id":4,"name":"SETTINGS_INITIAL_WINDOW_SIZE","value":2147483648},` +
				`{"id":42,"name":"SETTINGS_UNKNOWN_0x2a","value":0}]}`,
		},
		{
			"unknown type", parsedFrame(frame.Unknown{Header: frame.Header{Type: 0xbe, Flags: 0x42}, Payload: []byte{1}}),
			`{"kind":"frame",` + head + `"type":"UNKNOWN_0xbe","type_number":190,"stream":0,"flags":["0x2","0x40"],` +
				`"length":1,"payload":"01"}`,
		},
		{
			"stall", &Stall{Conn: 2, Stream: 3, Window: ConnWindow, Start: at(0), End: at(0).Add(12_000_340 * time.Nanosecond)},
			`{"kind":"stall","conn":2,"time":"2026-01-02T02:04:05.678901234Z","stream":3,"dir":"client",` +
				`"window":"connection","end":"2026-01-02T02:04:05.690901574Z","ms":12.00034,"blocked_ms":0}`,
		},
	} {
		if got := string(AppendJSON([]byte("before "), tt.e)); got != "before "+tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Whatever octets a peer sends, the line is JSON that a terminal does nothing with, and the octets
// can be had back from it.
func TestJSONText(t *testing.T) {
	for _, s := range []string{
		"", "plain", `"quoted\"`, "\x00\a\b\t\n\r\x1b[31m\x7f", "\xff\xfe", "ü\u009b\u202e\u2028€😀", "a\xe2\x82",
		string(rune(0xfffd)), "</script>\u200f",
	} {
		f := parsedFrame(frame.GoAway{DebugData: []byte(s)})
		f.Fields = []Field{{Name: s, Value: s}}
		line := AppendJSON(nil, f)
		if !utf8.Valid(line) || strings.ContainsFunc(string(line), unsafeRune) {
			t.Errorf("%q: the line is not safe to show: %q", s, line)
		}
		var got struct {
			Debug       string
			DebugBase64 *[]byte `json:"debug_base64"`
			Fields      []struct {
				Name, Value string
				Base64      *[]byte `json:"value_base64"`
			}
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Errorf("%q: %v in %s", s, err, line)
			continue
		}
		back, octets := got.Debug, got.DebugBase64
		if octets != nil {
			back = string(*octets)
		}
		field := got.Fields[0].Value
		if got.Fields[0].Base64 != nil {
			field = string(*got.Fields[0].Base64)
		}
		if back != s || field != s || (octets != nil) == utf8.ValidString(s) {
			t.Errorf("%q comes back as %q and %q: %s", s, back, field, line)
		}
	}
	origins := string(AppendJSON(nil, parsedFrame(frame.NewOrigin("a", "\xff"))))
	want := `"origins":["a","\ufffd"],"origins_base64":["YQ==","` + base64.StdEncoding.EncodeToString([]byte{0xff}) + `"]`
	if !strings.Contains(origins, want) {
		t.Errorf("%s lacks %s", origins, want)
	}
}

// The tables of docs/INSPECT.md have the members that AppendJSON writes, no more and no less.
func TestJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/INSPECT.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	code := regexp.MustCompile("`([^`]+)`")
	_, schema, _ := strings.Cut(string(text), "\n## JSON\n")
	schema, _, _ = strings.Cut(schema, "\n## ")
	for _, section := range strings.Split(schema, "\n### ")[1:] {
		kind, rows, _ := strings.Cut(section, "\n")
		for row := range strings.Lines(rows) {
			if cells := strings.Split(row, "|"); len(cells) > 2 {
				for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
					want[kind] = append(want[kind], m[1])
				}
			}
		}
		slices.Sort(want[kind])
	}
	seen := map[string]map[string]bool{}
	for _, e := range fullEvents() {
		var members map[string]any
		line := AppendJSON(nil, e)
		if err := json.Unmarshal(line, &members); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		collectMembers(seen, e.Kind(), "", members)
	}
	for _, c := range []Content{
		{
			Conn: 1, Stream: 3, Dir: Server, Time: at(0), Type: "text/plain", Codings: []string{"gzip"}, Octets: []byte("text"),
			Sent: 20, Err: errContentCut,
		},
		{Conn: 1, Octets: []byte{0xff}, Messages: []GRPCMessage{
			{Compressed: true, Sent: 9, Octets: []byte{0xff}, Err: errContentCut}, {Octets: []byte("text")},
		}},
	} {
		var members map[string]any
		var line bytes.Buffer
		if err := c.WriteJSON(&line); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line.Bytes(), &members); err != nil {
			t.Fatalf("%v: %s", err, &line)
		}
		collectMembers(seen, "content", "", members)
	}
	got := map[string][]string{}
	for kind, members := range seen {
		got[kind] = slices.Sorted(maps.Keys(members))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members of JSON (-docs/INSPECT.md +AppendJSON):\n%s", diff)
	}
}

// Content that is written in pieces is the same JSON as what encoding/json makes of it.
func TestContentJSONPieces(t *testing.T) {
	for name, octets := range map[string][]byte{
		"text":    []byte(strings.Repeat("é\x00\"abc", 2*jsonPiece)),
		"cut":     []byte("a" + strings.Repeat("é", jsonPiece)),
		"octets":  bytes.Repeat([]byte{0xff, 0, 1}, 2*jsonPiece),
		"a piece": []byte(strings.Repeat("a", jsonPiece)),
	} {
		var line bytes.Buffer
		if err := (&Content{Conn: 1, Octets: octets, Err: errContentCut}).WriteJSON(&line); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Length      int
			Text, Error string
			Base64      []byte
		}
		if err := json.Unmarshal(line.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Length != len(octets) || got.Text+string(got.Base64) != string(octets) || got.Error != errContentCut.Error() {
			t.Errorf("%s: %d octets, %q", name, got.Length, got.Error)
		}
		if bytes.ContainsRune(line.Bytes(), '\n') {
			t.Errorf("%s: more than a line", name)
		}
	}
}

// collectMembers adds the names of members of kind to seen: those of the parts of an object behind
// a dot, and those of objects in a list behind "[].". Fields are a kind of their own.
func collectMembers(seen map[string]map[string]bool, kind, prefix string, members map[string]any) {
	if members["state"] != nil {
		kind, prefix = "field", ""
	}
	if seen[kind] == nil {
		seen[kind] = map[string]bool{}
	}
	for name, v := range members {
		seen[kind][prefix+name] = true
		switch v := v.(type) {
		case map[string]any:
			collectMembers(seen, kind, prefix+name+".", v)
		case []any:
			for _, element := range v {
				if m, ok := element.(map[string]any); ok {
					collectMembers(seen, kind, prefix+name+"[].", m)
				}
			}
		}
	}
}

// A frame costs no memory but the line.
func TestAppendJSONAllocations(t *testing.T) {
	b := make([]byte, 0, 1<<10)
	f := parsedFrame(frame.Data{StreamID: 5, EndStream: true})
	f.DataLen, f.Window = 100, Windows{Conn: 65435, ConnKnown: true}
	if n := testing.AllocsPerRun(100, func() { b = AppendJSON(b[:0], f) }); n > 0 {
		t.Errorf("%v allocations for a DATA frame", n)
	}
}
