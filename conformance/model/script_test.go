package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A script is a list of operations, the first of which describes the testbed that they run in. Its
// text has one line for each: a name and parameters, "do id=3 m=POST up=70000 srv=r100,w2000
// cli=e".
type script []op

type op struct {
	name string
	args []arg
}

type arg struct{ key, value string }

// token is one call: a letter and a number.
type token struct {
	call byte
	n    int
}

func (s script) String() string {
	var b strings.Builder
	for _, o := range s {
		b.WriteString(o.name)
		for _, a := range o.args {
			fmt.Fprintf(&b, " %s=%s", a.key, a.value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func parseScript(text string) (script, error) {
	var s script
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		o := op{name: words[0]}
		for _, w := range words[1:] {
			key, value, ok := strings.Cut(w, "=")
			if !ok {
				return nil, fmt.Errorf("no value in %q", w)
			}
			o.args = append(o.args, arg{key, value})
		}
		s = append(s, o)
	}
	if len(s) == 0 || s[0].name != "testbed" {
		return nil, fmt.Errorf("a script begins with its testbed")
	}
	return s, nil
}

func (o op) str(key string) string {
	for _, a := range o.args {
		if a.key == key {
			return a.value
		}
	}
	return ""
}

// num returns a parameter's number, or def where there is none.
func (o op) num(key string, def int) int {
	if n, err := strconv.Atoi(o.str(key)); err == nil {
		return n
	}
	return def
}

// ms returns a parameter that is a number of milliseconds, 0 where there is none.
func (o op) ms(key string) time.Duration { return time.Duration(o.num(key, 0)) * time.Millisecond }

func (o op) calls(key string) []token { return parseCalls(o.str(key)) }

func parseCalls(text string) []token {
	var plan []token
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		n, _ := strconv.Atoi(word[1:])
		plan = append(plan, token{word[0], n})
	}
	return plan
}

// has reports whether a list has one of these calls.
func has(list []token, calls string) bool {
	for _, t := range list {
		if strings.IndexByte(calls, t.call) >= 0 {
			return true
		}
	}
	return false
}

// set adds a parameter.
func (o *op) set(key string, value any) { o.args = append(o.args, arg{key, fmt.Sprint(value)}) }
