package get

import (
	"io"
	"net/http"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows a bar for each download to a file, and for each upload, on a terminal. A nil
// *progress shows none.
type progress struct {
	g *mpb.Progress
	o *Options
}

func newProgress(o *Options) *progress {
	if o.Terminal == 0 || o.Quiet || o.Verbose || o.Output == "" && o.Data == "" {
		return nil
	}
	return &progress{mpb.New(mpb.WithOutput(o.Err), mpb.WithWidth(o.Terminal), mpb.ForceAutoRefresh()), o}
}

// wait waits until the bars have been drawn for the last time.
func (p *progress) wait() {
	if p != nil {
		p.g.Wait()
	}
}

// bar returns a bar; a total of 0 is one that is not known.
func (p *progress) bar(name string, total int64) *mpb.Bar {
	return p.g.AddBar(
		total,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f", decor.WCSyncSpace),
			decor.OnAbort(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace), "done"), "failed"),
		),
	)
}

// upload has the content of a request counted.
func (p *progress) upload(x *exchange, req *http.Request) {
	if p == nil || req.Body == nil || req.Body == http.NoBody {
		return
	}
	bar := p.bar("up "+shorten(p.o.name(x.url)), max(0, req.ContentLength))
	counted := func(body io.ReadCloser) io.ReadCloser {
		bar.SetCurrent(0)
		return &counter{ReadCloser: body, bar: bar}
	}
	req.Body = counted(req.Body)
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return counted(body), nil
		}
	}
}

// body returns the content of a response, counted.
func (p *progress) body(x *exchange, resp *http.Response) io.ReadCloser {
	if p == nil || x.file == "" {
		return resp.Body
	}
	return &counter{ReadCloser: resp.Body, bar: p.bar(shorten(x.file), max(0, resp.ContentLength))}
}

// counter counts what is read on a bar.
type counter struct {
	io.ReadCloser
	bar *mpb.Bar
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bar.IncrBy(n)
	if err == io.EOF {
		c.bar.SetTotal(-1, true)
	}
	return n, err
}

// Close ends the bar; one that is not full stays as it is.
func (c *counter) Close() error {
	c.bar.Abort(false)
	return c.ReadCloser.Close()
}

// shorten returns the end of a name.
func shorten(name string) string {
	const most = 30
	if r := []rune(name); len(r) > most {
		return "…" + string(r[len(r)-most+1:])
	}
	return name
}
