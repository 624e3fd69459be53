package priority

import (
	"fmt"
	"testing"
)

// The shares when the link is the bottleneck and all streams always have something to send. Streams
// that depend on one that can send get nothing.
func TestTreeShares(t *testing.T) {
	for name, shares := range map[string][]wantedShare{
		"alone":          {{1, dep(0, 1), 0, 1}},
		"nothing stated": {{1, Params{}, 0, .5}, {3, Params{}, 0, .5}},
		"weights":        {{1, dep(0, 4), 0, .25}, {3, dep(0, 12), 0, .75}},
		"the least and the greatest weight": {
			{1, dep(0, 1), 0, 1. / 257}, {3, dep(0, 256), 0, 256. / 257},
		},
		"frames of all sizes": {
			{1, dep(0, 1), 65536, .1}, {3, dep(0, 2), 16384, .2}, {5, dep(0, 3), 1000, .3}, {7, dep(0, 4), 200, .4},
		},
		"parents first": {
			{1, dep(0, 16), 0, .5}, {3, dep(1, 256), 0, 0}, {5, dep(3, 256), 0, 0}, {7, dep(0, 16), 0, .5},
		},
		"exclusive": {
			{1, dep(0, 16), 0, 0}, {3, dep(0, 32), 0, 0}, {5, exclusive(0, 1), 0, 1},
		},
		"what is stated for the other scheme": {
			{1, ext(0, false), 0, .5}, {3, ext(7, false), 0, .5},
		},
	} {
		t.Run(name, func(t *testing.T) { checkShares(t, NewTree(), 256<<20, shares) })
	}
}

// The same below nodes without an open stream.
func TestTreeSharesBelowGroups(t *testing.T) {
	for name, test := range map[string]struct {
		idle   []string // id, dependency, weight
		closed []string
		shares []wantedShare
	}{
		"Firefox": { // leaders, others, background, speculative, followers, urgent
			idle: []string{"3 0 201", "5 0 101", "7 0 1", "9 7 1", "11 3 1", "13 0 241"},
			shares: []wantedShare{
				{15, dep(13, 42), 0, 241. / 544},          // the page
				{17, dep(3, 32), 0, 201. / 544 * 32 / 33}, // a script, and the followers
				{19, dep(11, 32), 0, 201. / 544 * 1 / 33},
				{21, dep(5, 32), 0, 101. / 544 / 2},
				{23, dep(5, 32), 0, 101. / 544 / 2},
				{25, dep(9, 32), 0, 1. / 544},
			},
		},
		"two levels": {
			idle: []string{"3 0 10", "5 0 30", "7 5 8"},
			shares: []wantedShare{
				{9, dep(3, 1), 0, .25 / 4},
				{11, dep(3, 3), 0, .25 * 3 / 4},
				{13, dep(7, 16), 0, .75 / 4},
				{15, dep(7, 16), 0, .75 / 4},
				{17, dep(5, 8), 0, .75 / 2},
			},
		},
		"closed": { // its dependents share its weight (RFC 7540 §5.3.4)
			closed: []string{"1 0 16"},
			shares: []wantedShare{{3, dep(1, 1), 0, 1. / 8}, {5, dep(1, 3), 0, 3. / 8}, {7, dep(0, 16), 0, .5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewTree()
			prepare := func(specs []string, f func(uint32, Params)) {
				for _, spec := range specs {
					var id, on uint32
					var weight int
					if _, err := fmt.Sscan(spec, &id, &on, &weight); err != nil {
						t.Fatal(err)
					}
					f(id, dep(on, weight))
				}
			}
			prepare(test.idle, s.Adjust)
			prepare(test.closed, func(id uint32, p Params) {
				n := &Node{ID: id}
				s.Open(n, p)
				s.Close(n)
			})
			checkShares(t, s, 1<<30, test.shares)
		})
	}
}
