package priority

import "testing"

type ignorant struct {
	Scheduler
	tree bool
}

func (i ignorant) IgnoresTree() bool { return i.tree }

func TestIgnoresTree(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Scheduler
		want bool
	}{
		{"round robin, to which it is all the same", NewRoundRobin(), false},
		{"RFC 9218", NewExtensible(), true},
		{"RFC 7540", NewTree(), false},
		{"what the client uses", NewAuto(), false},
		{"one that says so", ignorant{NewRoundRobin(), true}, true},
		{"one that says no", ignorant{NewRoundRobin(), false}, false},
		{"one that hides what it wraps", struct{ Scheduler }{NewExtensible()}, false},
		{"none", nil, false},
	} {
		if got := IgnoresTree(tt.s); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
