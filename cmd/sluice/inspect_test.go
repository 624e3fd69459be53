package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/INSPECT.md that have an output there print it; "…" stands for lines that are
// left out.
func TestInspectPage(t *testing.T) {
	t.Setenv("SSLKEYLOGFILE", "")
	text, err := os.ReadFile("../../docs/INSPECT.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```sh\n(sluice inspect [^\n]*)\n```\n\n```text\n(.*?)\n```")
	examples := example.FindAllStringSubmatch(string(text), -1)
	if len(examples) < 4 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	for _, e := range examples {
		args := strings.Fields(e[1])[1:]
		args[len(args)-1] = filepath.Join("testdata", args[len(args)-1])
		var out, errOut bytes.Buffer
		if status := run(t.Context(), args, &out, &errOut); status != 0 {
			t.Errorf("%s: exit status %d, %s", e[1], status, &errOut)
		}
		rest := out.String()
		for _, part := range strings.Split(e[2], "…\n") {
			before, behind, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s does not print\n%s\nbut\n%s", e[1], part, rest)
				break
			}
			if strings.HasPrefix(e[2], part) && strings.TrimSpace(before) != "" {
				t.Errorf("%s begins with\n%s", e[1], before)
			}
			rest = behind
		}
	}
}

// Mistakes on the command line end with 2, since 1 says that there are findings.
func TestInspectUsage(t *testing.T) {
	for _, args := range [][]string{
		{"inspect"},
		{"inspect", "a", "b", "c"},
		{"inspect", "--no-such-flag", "a"},
		{"inspect", "a", "b"},
		{"inspect", "--min-stall", "x", "a"},
		{"inspect", "testdata/none.pcap"},
	} {
		var out, errOut bytes.Buffer
		if status := run(t.Context(), args, &out, &errOut); status != 2 || errOut.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: exit status %d, %q on the standard error, %q", args, status, &errOut, &out)
		}
	}
}
