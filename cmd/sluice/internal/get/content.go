package get

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// content is what requests carry.
type content struct {
	open   func() (io.ReadCloser, error)
	length int64  // -1 is unknown
	kind   string // Content-Type
}

// content returns what --data says, nil without it.
func (o *Options) content() (*content, error) {
	name, isFile := strings.CutPrefix(o.Data, "@")
	switch {
	case o.Data == "":
		return nil, nil
	case o.Data == "@-":
		open := func() (io.ReadCloser, error) { return io.NopCloser(o.In), nil }
		return &content{open: open, length: -1, kind: "application/octet-stream"}, nil
	case isFile:
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		c := &content{length: info.Size(), kind: mime.TypeByExtension(filepath.Ext(name))}
		if !info.Mode().IsRegular() {
			c.length = -1
		}
		if c.kind == "" {
			c.kind = "application/octet-stream"
		}
		c.open = func() (io.ReadCloser, error) { return os.Open(name) }
		return c, nil
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(o.Data)), nil }
	return &content{open: open, length: int64(len(o.Data)), kind: "application/x-www-form-urlencoded"}, nil
}

// request returns the request for a URL.
func (o *Options) request(ctx context.Context, url string, c *content) (*http.Request, error) {
	method := o.Method
	if method == "" {
		method = http.MethodGet
		if c != nil {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "sluice")
	if c != nil {
		if req.Body, err = c.open(); err != nil {
			return nil, err
		}
		req.ContentLength = c.length
		if c.length == 0 {
			_ = req.Body.Close() // it is empty
			req.Body = http.NoBody
		}
		if c.length >= 0 { // what can be sent once cannot be sent again
			req.GetBody = c.open
		}
		req.Header.Set("Content-Type", c.kind)
	}
	seen := map[string]bool{}
	for _, line := range o.Header {
		name, value, _ := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "Host" {
			req.Host = value
			continue
		}
		if !seen[name] { // the first one takes the place of ours
			req.Header.Del(name)
			seen[name] = true
		}
		req.Header.Add(name, value)
	}
	return req, nil
}

// writeHead writes the head of a response as in HTTP/1.1.
func writeHead(w io.Writer, resp *http.Response) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\r\n", resp.Proto, resp.Status)
	_ = resp.Header.Write(&b) // to memory
	b.WriteString("\r\n")
	_, err := io.WriteString(w, visible(b.String()))
	return err
}

// visible returns text of a peer, of which a terminal only shows the control characters: as \u001b.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		b.WriteString(s[i : i+n]) // octets that are no UTF-8 stay
	}
	return b.String()
}
