package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// The comparison runs, with captures of 1 MiB.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("tshark is what is compared with, and is not installed")
	}
	var out bytes.Buffer
	o := options{dir: t.TempDir(), size: 1 << 20, rounds: 1, loads: []string{"downloads", "requests"}, withJSON: true}
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`downloads +\d+ +tshark -T fields +[\d.]+ +[\d.]+ +\d+ +\d+ +1\.0`,
		`downloads +\d+ +sluice --json +[\d.]+ +[\d.]+ +\d+ +\d+ +[\d.]+`,
		`requests +\d+ +sluice --html `,
		`requests +\d+ +tshark -T json `,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("it lacks %s:\n%s", want, &out)
		}
	}
}
