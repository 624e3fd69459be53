package frame_test

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
)

// Reading and writing frames allocates nothing: a connection handles millions of them.
func TestNoAllocations(t *testing.T) {
	buf := make([]byte, 0, 1<<10)
	for _, tt := range wireTests {
		t.Run("append "+tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { buf = tt.frame.Append(buf[:0]) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
		t.Run("parse "+tt.name, func(t *testing.T) {
			read := func() {
				h, p, n, err := frame.Split(tt.wire, frame.MinMaxFrameSize)
				if n == 0 || err != nil || !parseTyped(h, p) {
					t.Fatal("cannot parse")
				}
			}
			if n := testing.AllocsPerRun(100, read); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	settings := []frame.Setting{{ID: frame.SettingMaxFrameSize, Value: 1 << 14}, {ID: frame.SettingEnablePush}}
	origins := []string{"https://a.example"}
	for name, f := range map[string]func(){
		"AppendSettings":    func() { buf = frame.AppendSettings(buf[:0], settings...) },
		"AppendSettingsAck": func() { buf = frame.AppendSettingsAck(buf[:0]) },
		"AppendOrigin":      func() { buf = frame.AppendOrigin(buf[:0], origins...) },
		"Setting.Check": func() {
			if settings[0].Check() != nil {
				t.Fatal("a good setting does not pass")
			}
		},
		"Header.Put": func() { frame.Header{Length: 1}.Put(buf[:frame.HeaderLen]) },
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// parseTyped parses without an interface value, as a connection does, and reports whether there was
// no error.
func parseTyped(h frame.Header, p []byte) bool {
	var err error
	n := 0
	switch h.Type {
	case frame.TypeData:
		var f frame.Data
		f, err = frame.ParseData(h, p)
		n = len(f.Data)
	case frame.TypeHeaders:
		var f frame.Headers
		f, err = frame.ParseHeaders(h, p)
		n = len(f.Fragment)
	case frame.TypePriority:
		_, err = frame.ParsePriority(h, p)
	case frame.TypeRSTStream:
		_, err = frame.ParseRSTStream(h, p)
	case frame.TypeSettings:
		var f frame.Settings
		f, err = frame.ParseSettings(h, p)
		for s := range f.All() {
			n += int(s.ID)
		}
		for i := range f.Len() {
			n += int(f.At(i).ID)
		}
	case frame.TypePushPromise:
		_, err = frame.ParsePushPromise(h, p)
	case frame.TypePing:
		_, err = frame.ParsePing(h, p)
	case frame.TypeGoAway:
		_, err = frame.ParseGoAway(h, p)
	case frame.TypeWindowUpdate:
		_, err = frame.ParseWindowUpdate(h, p)
	case frame.TypeContinuation:
		_, err = frame.ParseContinuation(h, p)
	case frame.TypeAltSvc:
		_, err = frame.ParseAltSvc(h, p)
	case frame.TypeOrigin:
		var f frame.Origin
		f, err = frame.ParseOrigin(h, p)
		for o := range f.All() {
			n += len(o)
		}
	case frame.TypePriorityUpdate:
		_, err = frame.ParsePriorityUpdate(h, p)
	default: // unknown types have nothing to parse
	}
	sink.n += n
	return err == nil
}
