package capture

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// A ruleCase plays a connection that breaks a rule, and one that is close to it and does not.
type ruleCase struct {
	rule   string
	breaks func(p *script)
	want   string // the text of the first Finding, behind its side and stream
	holds  func(p *script)
}

// findings writes those of at least a severity in lines.
func findings(p *script, least Severity) (lines []string) {
	for _, f := range of[*Finding](p) {
		if f.Severity >= least {
			lines = append(lines, fmt.Sprintf("%s %v %d: %s", f.Rule, f.Dir, f.Stream, f.Text))
		}
	}
	return lines
}

// Each rule is told where it is broken, and nothing else is said to be an error; it is not told
// where it holds.
func TestRules(t *testing.T) {
	for _, c := range ruleCases() {
		t.Run(c.rule, func(t *testing.T) {
			p := newScript(t, Options{})
			c.breaks(p)
			p.end(wire.Closed)
			list := of[*Finding](p)
			i := slices.IndexFunc(list, func(f *Finding) bool { return f.Rule == c.rule })
			if i < 0 {
				t.Fatalf("it is not found; findings: %q", findings(p, Note))
			}
			f := list[i]
			if got := fmt.Sprintf("%v %d: %s", f.Dir, f.Stream, f.Text); got != c.want {
				t.Errorf("the finding is\n%q, want\n%q", got, c.want)
			}
			for _, f := range list {
				if f.Severity == Error && f.Rule != c.rule {
					t.Errorf("there is also: %s: %s", f.Rule, f.Text)
				}
			}
			p = newScript(t, Options{})
			c.holds(p)
			p.end(wire.Closed)
			for _, f := range of[*Finding](p) {
				if f.Severity == Error || f.Rule == c.rule {
					t.Errorf("where it holds there is: %s: %s", f.Rule, f.Text)
				}
			}
		})
	}
}

// Each rule has a case, once, and is complete.
func TestRulesAreTested(t *testing.T) {
	cases := map[string]int{}
	for _, c := range ruleCases() {
		cases[c.rule]++
	}
	ids := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if cases[r.ID] != 1 {
			t.Errorf("%s has %d cases", r.ID, cases[r.ID])
		}
		if ids[r.ID] || r.Group == "" || r.Title == "" || !strings.HasSuffix(r.Text, ".") ||
			r.Section == "" && r.Group != "Capture" ||
			(r.check == nil) == (r.on == nil) || (r.on == nil) != (r.kind == noEvent) {
			t.Errorf("%s is twice, or not complete", r.ID)
		}
		ids[r.ID] = true
		delete(cases, r.ID)
	}
	for id := range cases {
		t.Errorf("there is no rule %s", id)
	}
	if n := len(rules); n > 64*len(ruleSet{}) {
		t.Errorf("%d rules are more than a ruleSet has", n)
	}
}

// The number of Findings of a rule is bounded.
func TestFindingsAreBounded(t *testing.T) {
	p := newScript(t, Options{})
	p.settle(h2.Settings(), h2.Settings()).client(h2.Get(1))
	for range maxFindings + 50 {
		p.server(h2.PingAck("unknown"))
	}
	p.end(wire.Closed)
	list := of[*Finding](p)
	list = slices.DeleteFunc(list, func(f *Finding) bool { return f.Rule != "ping-ack-unexpected" })
	if len(list) != maxFindings+1 {
		t.Fatalf("%d findings", len(list))
	}
	if want, got := "PING is answered that was not sent: 50 more times", list[maxFindings].Text; got != want {
		t.Errorf("the last one says %q, want %q", got, want)
	}
}

// A lint remembers no more streams than its bounds.
func TestLintBounds(t *testing.T) {
	p := newScript(t, Options{})
	p.s.a.handler = func(Event) {}
	id := uint32(1)
	for ; id < 4*maxLintClosed; id += 2 {
		p.client(frame.Headers{StreamID: id, EndHeaders: true, EndStream: true})
		p.server(frame.Headers{StreamID: id, EndHeaders: true, EndStream: true})
	}
	if n := p.s.lint.streams.Len(); n != maxLintClosed {
		t.Errorf("%d closed streams are remembered", n)
	}
	for ; id < 16*maxLintStreams; id += 2 {
		p.client(frame.Headers{StreamID: id, EndHeaders: true})
	}
	if n := p.s.lint.streams.Len(); n != maxLintStreams+maxLintClosed {
		t.Errorf("%d streams are remembered", n)
	}
	for range 2 * maxLintSettings {
		p.client(h2.Settings(), h2.Ping(""))
	}
	if s := &p.s.lint.sides[Client]; len(s.pings) != maxLintPings || len(s.settings.pending) != maxLintSettings {
		t.Errorf("%d PING and %d SETTINGS are remembered", len(s.pings), len(s.settings.pending))
	}
}

var update = flag.Bool("update", false, "rewrite docs/LINT.md")

const lintFile = "../docs/LINT.md"

// lintDocument is docs/LINT.md.
func lintDocument() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(lintIntroduction, `"`, "`"))
	group := ""
	for _, r := range Rules() {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&b, "\n## %s\n\n%s", group, lintColumns)
		}
		fmt.Fprintf(&b, "| `%s` | %v | %s | %s | %s |\n", r.ID, r.Severity, linked(r.Section), r.Title, r.Text)
	}
	return b.String()
}

// linked has each part of a section linked.
func linked(section string) string {
	if section == "" {
		return "–"
	}
	parts := strings.Split(section, ", ")
	for i, s := range parts {
		parts[i] = "[" + s + "](" + SectionURL(s) + ")"
	}
	return strings.Join(parts, ", ")
}

// Each section of a rule can be looked up.
func TestSectionURL(t *testing.T) {
	for _, tt := range [][2]string{
		{"RFC 9113 §5.1.1", "https://www.rfc-editor.org/rfc/rfc9113#section-5.1.1"},
		{"RFC 9113", "https://www.rfc-editor.org/rfc/rfc9113"},
		{"CVE-2019-9511, RFC 9113 §10.5", "https://www.cve.org/CVERecord?id=CVE-2019-9511"},
		{"VU#421644", "https://kb.cert.org/vuls/id/421644"},
		{"", ""},
		{"something else", ""},
	} {
		if got := SectionURL(tt[0]); got != tt[1] {
			t.Errorf("%s is at %q, want %q", tt[0], got, tt[1])
		}
	}
	for _, r := range Rules() {
		for s := range strings.SplitSeq(r.Section, ", ") {
			if s != "" && SectionURL(s) == "" {
				t.Errorf("%s: there is no link for %q", r.ID, s)
			}
		}
	}
}

func TestLintDocumentIsCurrent(t *testing.T) {
	old, err := os.ReadFile(lintFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := lintDocument()
	if d := cmp.Diff(want, strings.ReplaceAll(string(old), "\r\n", "\n")); d == "" {
		return
	} else if !*update {
		t.Fatalf("%s differs from the rules; rewrite it with\n\tgo test ./capture -run Document -update\n%s", lintFile, d)
	}
	if err := os.WriteFile(lintFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

const lintColumns = `| Rule | Severity | Section | What is wrong | What it means |
|---|---|---|---|---|
`

const lintIntroduction = `# What a capture is checked for

"sluice inspect" and package "capture" check each connection of HTTP/2 against the rules on this page. They are the
table in "capture/rules*.go", from which the page is made: "go test ./capture" fails when they differ, and
"go test ./capture -run Document -update" writes it again. The rules for single frames, for the states of streams, for
windows and for fields are those of packages "frame", "stream", "flow" and "conn/header", which the server and the
client of this module use as well.

A finding has the side that did it, the stream, and the number of the frame. Its severity is

- **error**: a MUST of an RFC is broken, or octets are missing;
- **warning**: a SHOULD is broken, something went wrong, or there is a sign of an attack;
- **note**: it breaks no rule, and is worth knowing.

A capture lies between the two sides, so a frame may have been sent before its sender knew what the capture has seen
already. Sides are judged by what they have sent and acknowledged themselves, and frames that cross are no findings.
Where octets are missing, what they may have been is not judged: the gap is the finding. Of each rule, 100 findings of a
connection are told, and then how many more there were.
`

// A capture that begins with the preface of the client may not have the first SETTINGS of the
// server.
func TestServerStartMissing(t *testing.T) {
	p := newScript(t, Options{})
	p.s.noSYN = true
	p.client(h2.Settings(), h2.Ack, h2.Post(1), h2.DataOf(1, 65535)).server(h2.Ack)
	p.at(100).server(h2.WindowUpdate(1, 1000), h2.WindowUpdate(0, 1000)).client(h2.DataOf(1, 1000)).end(wire.Closed)
	if list := findings(p, Warning); len(list) > 0 {
		t.Errorf("findings: %q", list)
	}
	if list := stalls(p); len(list) > 0 {
		t.Errorf("stalls: %q", list)
	}
}
