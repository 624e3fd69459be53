package get

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// A getter is one run of the command.
type getter struct {
	o        *Options
	client   *http.Client
	content  *content
	progress *progress
	pushes   *pushes // nil where none are taken
}

// An exchange is one request with its response.
type exchange struct {
	url    string
	file   string        // "" is standard output
	turn   chan struct{} // closed when it may write to standard output
	next   chan struct{} // closed when it has
	timing timing
	status int
	proto  string
	octets int64
	err    error
}

// Run fetches the URLs. The error says what has failed; each failure is on o.Err already where
// there are several.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	files, err := o.outputs()
	if err != nil {
		return err
	}
	g := &getter{o: &o}
	if g.content, err = o.content(); err != nil {
		return err
	}
	if o.Stat {
		g.pushes = newPushes(ctx, &o)
	}
	t, done, err := o.transport(g.pushes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	defer t.CloseIdleConnections()
	g.client = &http.Client{Transport: t, Timeout: o.Timeout, CheckRedirect: redirected}
	if !o.Follow {
		g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	g.progress = newProgress(&o)
	start := time.Now()
	exchanges := g.fetch(ctx, files)
	g.progress.wait()
	var pushed []*pushed
	if o.Stat {
		pushed = g.pushes.wait()
		if err := writeTable(&o, exchanges, pushed, t.Stats(), time.Since(start)); err != nil {
			return err
		}
	}
	return cmp.Or(g.interruption(ctx, exchanges, pushed), g.failures(exchanges))
}

// fetch runs all requests side by side, to their end.
func (g *getter) fetch(ctx context.Context, files []string) []*exchange {
	var exchanges []*exchange
	turn := make(chan struct{})
	close(turn)
	for _, u := range g.o.URLs {
		for range g.o.Repeat {
			x := &exchange{url: u, turn: turn, next: make(chan struct{})}
			if files != nil {
				x.file = files[len(exchanges)]
			}
			exchanges = append(exchanges, x)
			turn = x.next
		}
	}
	free := make(chan struct{}, g.o.Parallel)
	var all sync.WaitGroup
	for _, x := range exchanges {
		free <- struct{}{}
		all.Go(func() {
			x.err = g.exchange(ctx, x)
			x.timing.end()
			<-x.turn
			close(x.next)
			<-free
		})
	}
	all.Wait()
	return exchanges
}

// exchange sends one request, and takes what is answered.
func (g *getter) exchange(ctx context.Context, x *exchange) error {
	req, err := g.o.request(httptrace.WithClientTrace(ctx, x.timing.trace()), x.url, g.content)
	if err != nil {
		return err
	}
	g.progress.upload(x, req)
	resp, err := g.client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it has the URL, with its tokens
			err = ue.Err
		}
		return explain(err)
	}
	defer resp.Body.Close()
	x.status, x.proto = resp.StatusCode, resp.Proto
	return explain(g.take(x, resp))
}

// refusal is the error that a status is with --fail.
func (g *getter) refusal(resp *http.Response) error {
	if g.o.Fail && resp.StatusCode >= 400 {
		return errors.New(resp.Status)
	}
	return nil
}

// take writes the response to where it belongs.
func (g *getter) take(x *exchange, resp *http.Response) (err error) {
	body := g.progress.body(x, resp)
	defer body.Close()
	var w io.Writer
	switch {
	case g.o.Stat:
		w = io.Discard
	case x.file != "":
		d, err := newDownload(x.file)
		if err != nil {
			return err
		}
		x.octets, err = io.Copy(d, body)
		return d.finish(cmp.Or(err, g.refusal(resp))) // what was there before stays
	default:
		<-x.turn // until then the windows of flow control hold back the content
		w = g.o.Out
	}
	if g.o.Head && !g.o.Stat {
		if err := writeHead(w, resp); err != nil {
			return err
		}
	}
	x.octets, err = io.Copy(w, body)
	return cmp.Or(err, g.refusal(resp))
}

// failures returns the errors of exchanges as one. Where there were several exchanges, each is
// reported on o.Err, but for those that were interrupted.
func (g *getter) failures(exchanges []*exchange) error {
	n := 0
	var last error
	for _, x := range exchanges {
		if x.err == nil {
			continue
		}
		n++
		last = fmt.Errorf("%s: %s", g.o.name(x.url), visible(x.err.Error()))
		if len(exchanges) > 1 && !errors.Is(x.err, context.Canceled) {
			fmt.Fprintln(g.o.Err, "sluice:", last)
		}
	}
	if n > 0 && len(exchanges) > 1 {
		return fmt.Errorf("%d of %d requests have failed", n, len(exchanges))
	}
	return last
}

// name is a URL as it is shown.
func (o *Options) name(u string) string {
	if o.ShowSecrets {
		return u
	}
	return capture.HideURL(u)
}
