package get

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect"
)

// Options are the flags of the command.
type Options struct {
	URLs   []string
	Repeat int // how often each URL is fetched; at least 1

	Method string   // "" is GET, or POST with Data
	Header []string // "Name: value"
	Data   string   // the content of each request; "@FILE" is that of a file, "@-" that of In

	Output   string // file for the content, or a folder for several; "" is Out
	Head     bool   // print the head of each response, too
	Follow   bool   // follow redirects
	Fail     bool   // a status of 400 and above is a failure
	Compress bool   // ask for gzip
	Stat     bool   // print a table of timings in place of the content
	Verbose  bool   // print every frame
	Quiet    bool   // show no progress

	Proxy    string // URL of a proxy; "" is that of the environment, "none" is none
	CACert   string // PEM file of roots that are trusted beside those of the system
	Insecure bool   // take any certificate
	HTTP1    bool   // speak HTTP/1.1 alone
	H2C      bool   // speak HTTP/2 with http URLs, by prior knowledge (RFC 9113 §3.3)
	Parallel int    // requests at once; at least 1
	Timeout  time.Duration

	ShowSecrets bool
	KeyLog      string // file that the secrets of TLS are added to; "" is none
	Record      string // pcapng file that the connections are recorded in; "" is none
	Color       string // of Verbose: as for sluice inspect
	Getenv      func(string) string

	In  io.Reader // of "@-"
	Out io.Writer // the content
	Err io.Writer // everything else

	// Terminal is the width of the terminal that Err is, in columns; 0 is no terminal.
	Terminal int
}

// Defaults are the options without flags.
func Defaults() Options {
	return Options{Repeat: 1, Parallel: 100, Color: inspect.ColorAuto, Getenv: os.Getenv}
}

// check finds what cannot work before anything is sent, and says which flag to change.
func (o *Options) check() error {
	if len(o.URLs) == 0 {
		return errors.New("a URL is missing: sluice get https://example.com/")
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		switch {
		case !strings.Contains(text, "://"): // of "localhost:8080/", too
			return fmt.Errorf("%s has no scheme: https://%s", text, text)
		case err != nil:
			return err
		case u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("%s: the scheme is %s, not http or https", text, u.Scheme)
		case u.Host == "":
			return fmt.Errorf("%s names no host", text)
		}
	}
	for _, line := range o.Header {
		if name, _, ok := strings.Cut(line, ":"); !ok || strings.TrimSpace(name) == "" {
			return fmt.Errorf(`--header %q is not "Name: value"`, line)
		}
	}
	switch {
	case o.Repeat < 1:
		return errors.New("--repeat must be at least 1")
	case o.Parallel < 1:
		return errors.New("--parallel must be at least 1")
	case o.HTTP1 && o.H2C:
		return errors.New("--http1 and --h2c exclude each other")
	case o.Stat && o.Output != "":
		return errors.New("--stat counts the content and does not keep it: it cannot be with --output")
	case o.Data == "@-" && o.requests() > 1:
		return errors.New("--data @- can be sent once, but there are several requests")
	}
	return nil
}

// requests is how many requests there are.
func (o *Options) requests() int { return len(o.URLs) * o.Repeat }
