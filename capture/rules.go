package capture

import (
	"strings"

	"github.com/sluice-go/sluice/frame"
)

// A Rule is one that connections are checked against. docs/LINT.md has all of them.
type Rule struct {
	ID       string // is Finding.Rule
	Group    string // such as "Streams"
	Section  string // that says so, such as "RFC 9113 §5.1.1"
	Severity Severity
	Title    string // what a Finding says, in a few words
	Text     string // what it means, and what to do about it
}

// Rules returns the rules, those of a group together.
func Rules() []Rule {
	list := make([]Rule, len(rules))
	for i := range rules {
		list[i] = rules[i].Rule
	}
	return list
}

// SectionURL returns where the section of a Rule or a Finding can be read, or "" where that is not
// known. Of a list, such as "CVE-2019-9511, RFC 9113 §10.5", it is the first.
func SectionURL(section string) string {
	first, _, _ := strings.Cut(section, ", ")
	switch name, part, _ := strings.Cut(first, " §"); {
	case strings.HasPrefix(name, "RFC "):
		url := "https://www.rfc-editor.org/rfc/rfc" + name[len("RFC "):]
		if part != "" {
			url += "#section-" + part
		}
		return url
	case strings.HasPrefix(name, "CVE-"):
		return "https://www.cve.org/CVERecord?id=" + name
	case strings.HasPrefix(name, "VU#"):
		return "https://kb.cert.org/vuls/id/" + name[len("VU#"):]
	case name == "gRPC over HTTP/2":
		return "https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md"
	}
	return ""
}

// A rule is a Rule with its check.
type rule struct {
	Rule
	frames []frame.Type // that are checked; nil: of all types
	once   scope

	// roles says that the rule is about which side is the client, which is a guess where the start is
	// missing.
	roles bool

	// crosses says that the rule is about a frame and what the other side has sent before, so that
	// it is not broken where that is missing.
	crosses bool

	// check looks at a frame, before l has taken it into account, and returns what is wrong.
	check func(l *lint, f *Frame) *offence

	// on looks at what is no frame: the Connection, a Gap, a Stall or the end.
	on   func(l *lint, e *lintEvent) []*offence
	kind eventKind
}

// A scope says how often a rule is reported.
type scope uint8

const (
	each      scope = iota // each time
	perStream              // once for a stream
	perConn                // once a minute for a connection
)

// eventKind is what a rule looks at that is no frame.
type eventKind uint8

const (
	noEvent eventKind = iota
	onOpen
	onGap
	onStall
	onEnd
)

// rules are all rules. Their order is that of docs/LINT.md.
var rules = join(
	captureRules, frameRules, blockRules, streamRules, settingRules, controlRules, fieldRules, messageRules,
	flowRules, pushRules, tlsRules, attackRules, noteRules,
)

func join(lists ...[]rule) (all []rule) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// The indexes of the rules, by what they look at.
var (
	rulesOf      [256][]int // by frame.Type
	rulesOfKinds [onEnd + 1][]int
)

func init() {
	for i := range rules {
		r := &rules[i]
		switch {
		case r.check == nil:
			rulesOfKinds[r.kind] = append(rulesOfKinds[r.kind], i)
		case r.frames == nil:
			for t := range rulesOf {
				rulesOf[t] = append(rulesOf[t], i)
			}
		default:
			for _, t := range r.frames {
				rulesOf[t] = append(rulesOf[t], i)
			}
		}
	}
}

// ruleSet is a set of rules, by index.
type ruleSet [4]uint64

func (s *ruleSet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s *ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// types makes the list of a rule.
func types(t ...frame.Type) []frame.Type { return t }
