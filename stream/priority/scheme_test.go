package priority

import "testing"

type schemeStub struct {
	Scheduler
	tree bool
}

func (i schemeStub) IgnoresTree() bool { return i.tree }

func TestIgnoresTree(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Scheduler
		want bool
	}{
		{"round robin", NewRoundRobin(), false},
		{"RFC 9218", NewExtensible(), true},
		{"RFC 7540", NewTree(), false},
		{"auto", NewAuto(), false},
		{"one that says so", schemeStub{NewRoundRobin(), true}, true},
		{"one that says no", schemeStub{NewRoundRobin(), false}, false},
		{"one that hides what it wraps", struct{ Scheduler }{NewExtensible()}, false},
		{"none", nil, false},
	} {
		if got := IgnoresTree(tt.s); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
