package tunnel

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/sluice-go/sluice/internal/syntax"
)

// FieldRules are fields to set in requests, by host. Its method Fields is for
// Interceptor.SetFields.
type FieldRules struct {
	file  string
	mode  os.FileMode
	rules []fieldRule
}

type fieldRule struct {
	pattern, name, value string
}

// maxFieldRules bounds the lines of a file for LoadFieldRules.
const maxFieldRules = 100_000

// LoadFieldRules reads a file whose lines are
//
//	HOST: FIELD: VALUE
//
// such as "api.example.com: Authorization: Bearer abc". HOST is as in Interceptor.PassThrough, an
// IPv6 address in brackets. Empty lines, and those that begin with #, mean nothing. Two lines of
// one FIELD for one host set two lines of it. An error names the line and not what is in it.
func LoadFieldRules(file string) (*FieldRules, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("tunnel: fields to set: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tunnel: fields to set: %w", err)
	}
	r := &FieldRules{file: file, mode: info.Mode().Perm()}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		rule, err := parseFieldRule(line)
		if err == nil && len(r.rules) == maxFieldRules {
			err = fmt.Errorf("more than %d rules", maxFieldRules)
		}
		if err != nil {
			return nil, fmt.Errorf("tunnel: %s:%d: %w", file, n, err)
		}
		r.rules = append(r.rules, rule)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("tunnel: %s: %w", file, err)
	}
	return r, nil
}

func parseFieldRule(line string) (r fieldRule, err error) {
	rest := line
	if strings.HasPrefix(line, "[") {
		if end := strings.IndexByte(line, ']'); end > 0 {
			r.pattern, rest = line[:end+1], line[end+1:]
		}
	}
	host, rest, ok := strings.Cut(rest, ":")
	name, value, ok2 := strings.Cut(rest, ":")
	r.pattern += strings.TrimSpace(host)
	r.name, r.value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	if !ok || !ok2 || r.pattern == "" {
		return r, fmt.Errorf("a line is HOST: FIELD: VALUE")
	}
	return r, checkSetField(r.name, r.value)
}

// checkSetField returns why a field, whose name is in lower case, cannot be set in a request.
func checkSetField(name, value string) error {
	switch {
	case !syntax.ValidToken(name):
		return fmt.Errorf("the name of the field is not valid")
	case !syntax.ValidValue(value):
		return fmt.Errorf("the value of the field is not valid")
	}
	switch name {
	case "host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive",
		"proxy-connection", "http2-settings", "expect":
		return fmt.Errorf("the field %s belongs to the message or the connection and cannot be set", name)
	}
	return nil
}

// Fields returns the fields for a host.
func (r *FieldRules) Fields(_ context.Context, _ *Target, host string) (http.Header, error) {
	var h http.Header
	for _, rule := range r.rules {
		if matchHost(rule.pattern, host) {
			if h == nil {
				h = http.Header{}
			}
			h.Add(rule.name, rule.value)
		}
	}
	return h, nil
}

// Warning returns a sentence for the operator where others may read the file, which has secrets; ""
// where they may not, and on Windows.
func (r *FieldRules) Warning() string {
	if r.mode&0o077 == 0 || runtime.GOOS == "windows" {
		return ""
	}
	return fmt.Sprintf("%s has mode %04o, so that others may read the fields to set: chmod 600 it", r.file, r.mode)
}
