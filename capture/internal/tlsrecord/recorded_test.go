package tlsrecord

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

var record = flag.Bool("record", false, "write the exchanges of the tests to testdata")

// recorded is an exchange in testdata, and what a Conn makes of it.
type recorded struct {
	KeyLog string
	Pieces []recordedPiece
	Sent   [2][]byte
	Info   Info
}

type recordedPiece struct {
	Dir    wire.Dir
	Octets []byte
}

// keep writes an exchange to testdata, with -record.
func (x *exchange) keep(t *testing.T, name string) {
	t.Helper()
	if !*record {
		return
	}
	r := play(x.keys(), Options{}, x.pieces)
	out := recorded{KeyLog: x.keyLog.String(), Sent: r.got, Info: r.info[0]}
	for _, p := range x.pieces {
		out.Pieces = append(out.Pieces, recordedPiece{p.d, p.octets})
	}
	text, err := json.MarshalIndent(out, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".json"), append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load reads the exchanges of testdata.
func load(t testing.TB) map[string]*exchange {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %d files, %v", len(files), err)
	}
	all := map[string]*exchange{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var in recorded
		if err := json.Unmarshal(text, &in); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		x := &exchange{sent: in.Sent, info: in.Info}
		x.keyLog.WriteString(in.KeyLog)
		for _, p := range in.Pieces {
			x.pieces = append(x.pieces, piece{p.Dir, p.Octets})
		}
		all[filepath.Base(file)] = x
	}
	return all
}

// The exchanges of testdata are decrypted as they were when they were recorded, openssl or not.
func TestRecorded(t *testing.T) {
	for name, x := range load(t) {
		r := play(x.keys(), Options{}, x.pieces)
		if diff := cmp.Diff([]Info{x.info}, r.info); diff != "" {
			t.Errorf("%s: Handshake: %s", name, diff)
		}
		if diff := cmp.Diff(x.sent, r.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzConn plays a script on an exchange: octets, losses, ends, and octets that are not those sent.
func FuzzConn(f *testing.F) {
	var names []string
	all := load(f)
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Add(byte(0), []byte{0, 255, 1, 255, 0, 255, 1, 255, 0, 255, 1, 255})
	f.Add(byte(1), []byte{0, 200, 1, 200, 2, 9, 0, 255, 1, 255, 4, 0, 5, 0})
	f.Add(byte(2), []byte{0, 200, 1, 200, 6, 9, 0, 255, 1, 255, 3, 44, 1, 77})
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		x := all[names[int(which)%len(names)]]
		r, changed := x.script(script)
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			if len(r.ends[d]) != 1 || len(r.info) != 1 || r.early {
				t.Fatalf("%v: ends %v, infos %v, early %v", d, r.ends[d], r.info, r.early)
			}
			if !changed && !strings.Contains(names[int(which)%len(names)], "renegotiation") {
				checkTrue(t, r, x, d)
			}
		}
	})
}

// script plays pairs of octets: what to do, and how much of it. It reports whether octets were
// changed.
func (x *exchange) script(script []byte) (r *result, changed bool) {
	r = &result{}
	k := &Keys{}
	c := New(k, r, Options{HoldBack: 1 << 16, StartMissing: len(script)%2 == 1})
	if len(script)%3 > 0 {
		k.Add(x.keyLog.Bytes())
	}
	left := [2][]byte{x.octets(wire.Client), x.octets(wire.Server)}
	var at time.Time
	var ended [2]bool
	for ; len(script) > 1; script = script[2:] {
		d := wire.Dir(script[0] & 1)
		if ended[d] {
			continue
		}
		n := min(int(script[1])*int(1+script[0]>>5), len(left[d]))
		p := left[d][:n]
		left[d] = left[d][n:]
		at = at.Add(time.Second)
		switch script[0] >> 1 & 15 {
		default:
			c.Octets(d, at, p)
		case 1, 2:
			c.Lost(d, at, int64(max(1, n)), "")
			changed = changed || n == 0
		case 3:
			c.Lost(d, at, -1, "")
		case 4:
			c.End(d, at, wire.Open)
			ended[d] = true
		case 5:
			p = append([]byte{script[1]}, p...)
			c.Octets(d, at, p)
			changed = true
		case 6:
			k.Add(x.keyLog.Bytes())
			c.Octets(d, at, p)
		}
	}
	for d := range ended {
		if !ended[d] {
			c.End(wire.Dir(d), at, wire.Closed)
		}
	}
	return r, changed
}

// octets is all that a direction has sent.
func (x *exchange) octets(d wire.Dir) (all []byte) {
	for _, p := range x.pieces {
		if p.d == d {
			all = append(all, p.octets...)
		}
	}
	return all
}
