// Package watchtest looks at live pages, as a browser does, in tests of the commands that have one.
package watchtest

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A Page is a live page that is open.
type Page struct {
	t      *testing.T
	events *bufio.Reader
	seen   strings.Builder
}

// Open opens the page whose address is printed in a banner, and its events, until the test ends.
func Open(t *testing.T, banner string) *Page {
	t.Helper()
	address := regexp.MustCompile(`http://\S+/\?token=\w+`).FindString(banner)
	if address == "" {
		t.Fatalf("no address of a live page is printed:\n%s", banner)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Jar: jar, Transport: tr, Timeout: 5 * time.Minute} // of the events to their end, too
	at, body := get(t, c, address)
	if !strings.Contains(read(t, body), "<title>") {
		t.Error("that is no page")
	}
	_, events := get(t, c, at.JoinPath("events").String())
	return &Page{t: t, events: bufio.NewReader(events)}
}

// get returns what an address leads to, and where that is.
func get(t *testing.T, c *http.Client, address string) (*url.URL, io.Reader) {
	t.Helper()
	res, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", address, res.Status, read(t, res.Body))
	}
	return res.Request.URL, res.Body
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Await reads events until each of the texts has come, and returns all that has come.
func (p *Page) Await(texts ...string) string {
	p.t.Helper()
	for _, text := range texts {
		for !strings.Contains(p.seen.String(), text) {
			line, err := p.events.ReadString('\n')
			if err != nil {
				p.t.Fatalf("%q does not come: %v, after:\n%s", text, err, &p.seen)
			}
			p.seen.WriteString(line)
		}
	}
	return p.seen.String()
}

// AwaitEnd reads events until the server ends them, and returns all that has come.
func (p *Page) AwaitEnd() string {
	p.t.Helper()
	rest, err := io.ReadAll(p.events)
	if err != nil {
		p.t.Error("the events were cut off:", err)
	}
	return p.seen.String() + string(rest)
}
