package model

import (
	"strings"
	"testing"
	"time"
)

// The oracle finds faults: each of these is made by the test itself, in a script without others.
func TestOracle(t *testing.T) {
	t.Parallel()
	const get = "do id=1 m=GET srv=w30000,f0,w30000"
	const post = "do id=1 m=POST up=50000 srv=e0,w10"
	for _, tt := range []struct{ mutate, script, want string }{
		{"flip", get, "of the response, octet"},
		{"upflip", post, "of the request, octet"},
		{"hole", get, "of the response, octet 0 is"},
		{"cutoff", get, "whole body of 60000 octets, want 60001"},
		{"mute", get, "a request has not ended"},
		{"leak", get, "goroutines are left"},
		{"unread", "do id=1 m=GET srv=w9000000 cli=c0", "no request is left, and"},
		{"unclosed", post, "body 1 of 1 is not closed"},
		{"refusal", get, "nothing has disturbed it, and it failed"},
		{"again", get, "a handler runs for the second time"},
		{"none", get + "\n" + strings.ReplaceAll(post, "id=1", "id=2"), ""},
	} {
		t.Run(tt.mutate, func(t *testing.T) {
			t.Parallel()
			o := child("script", "testbed mutate="+tt.mutate+"\n"+tt.script, stuck)
			if tt.want == "" && o.fault != "" || !strings.Contains(o.fault, tt.want) {
				t.Errorf("got %q, want %q\n%s", o.fault, tt.want, o.out)
			}
		})
	}
}

// A deadlock of the bubble, a panic and a process that does not end are found too, and
// distinguished by their names.
func TestChildFaults(t *testing.T) {
	t.Parallel()
	if o := child("script", "nonsense", stuck); !strings.HasPrefix(o.fault, "--- FAIL") {
		t.Errorf("a script without a testbed: %q", o.fault)
	}
	var o outcome
	for limit := time.Second; o.seed == 0 && limit < stuck; limit *= 4 { // a busy machine may not have begun by then
		o = child("seeds 1 1000000000", "", limit)
	}
	if o.fault == "" || o.seed == 0 {
		t.Errorf("a process that does not end in time: %q, seed %d", o.fault, o.seed)
	}
}

// A script becomes as short as it can be.
func TestShrink(t *testing.T) {
	for seed := range uint64(30) {
		s := generate(seed)
		s = append(s, parsed(t, "testbed\ncut conn=1 how=reset\ndo id=99 m=POST up=12345 srv=w5000,f0,r300 len=1")[1:]...)
		s = append(s, generate(seed + 100)[1:]...)
		fails := func(s script) bool {
			cut := false
			for _, o := range s {
				cut = cut || o.name == "cut" && o.str("how") == "reset"
				if cut && o.name == "do" && o.num("up", 0) >= 1000 && has(o.calls("srv"), "r") {
					return true
				}
			}
			return false
		}
		got := shrink(s, time.Minute, fails)
		if !fails(got) || len(got) != 3 || len(got.String()) > 80 {
			t.Errorf("seed %d: got\n%s", seed, got)
		}
	}
}

// The text of a script is that script.
func TestScriptText(t *testing.T) {
	for seed := range uint64(100) {
		text := generate(seed).String()
		if got := parsed(t, text).String(); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func parsed(t *testing.T, text string) script {
	t.Helper()
	s, err := parseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
