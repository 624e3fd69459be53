package model

import "testing"

// scripts are those that have failed once, in the form in which TestModel prints them.
var scripts = map[string]string{
	"the body that GetBody gives is closed when the context ends before it is sent": `
		testbed latency=5
		refuse n=2
		do id=13 m=PUT up=0 getbody=1 timeout=30`,
	"the body that GetBody gives is closed when net/http dials for it and asks again": `
		testbed client=configured streams=1
		do id=1 m=GET cli=r3000
		do id=2 m=POST up=567 getbody=1
		do id=3 m=POST up=3105`,
	"a limit of streams that was not known yet": `
		testbed client=conn streams=1
		do id=1 m=GET
		do id=3 m=POST up=0`,
}

// TestScripts plays the scripts that have failed once. They were made from seeds, and most failed
// by chance only: what they have found has a test of its own where it was mended.
func TestScripts(t *testing.T) {
	for name, text := range scripts {
		t.Run(name, func(t *testing.T) {
			for range tries {
				playHere(t, parsed(t, text))
			}
		})
	}
}
