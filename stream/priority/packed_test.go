package priority

import "testing"

// Pack and Apply keep every priority of RFC 9218, and change nothing else.
func TestPacked(t *testing.T) {
	for u := range uint8(MaxUrgency + 1) {
		for _, i := range []bool{false, true} {
			p := ext(u, i)
			got := Params{Tree: true, DependsOn: 3, Weight: 7, Urgency: 1, Incremental: !i}
			want := Params{Tree: true, DependsOn: 3, Weight: 7, Extensible: true, Urgency: u, Incremental: i}
			if p.Pack().Apply(&got); got != want {
				t.Errorf("%+v becomes %+v, want %+v", p, got, want)
			}
		}
	}
	if got, want := ext(200, true).Pack(), ext(7, true).Pack(); got != want {
		t.Errorf("an urgency of 200 is packed to %#x, want %#x", got, want)
	}
	tree := Params{Tree: true, Urgency: 1, Incremental: true}
	if got := tree.Pack(); got != 0 {
		t.Errorf("a priority of RFC 7540 is packed to %#x", got)
	}
	got := ext(2, true)
	if tree.Pack().Apply(&got); got != ext(2, true) {
		t.Errorf("nothing is stated, and the priority becomes %+v", got)
	}
}
