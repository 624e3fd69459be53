package inspect

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// whispered is a capture with secrets wherever they may be: in fields of requests, responses,
// interim responses, trailers and promises, in paths, and in debug data.
func whispered(t *testing.T) []byte {
	t.Helper()
	const secret = "s3cr3t"
	client, server := h2test.NewCodec(), h2test.NewCodec()
	promise := h2test.Request(2, "GET", "/pushed?key="+secret, "cookie: id="+secret, "x-api-key: "+secret)
	promise.StreamID, promise.PromisedID = 1, 2
	sent := client.Append(nil, frame.Preface, h2test.Settings(), h2test.Request(
		1, "POST", "/asked?access_token="+secret, "authorization: Bearer "+secret, "cookie: a="+secret,
		"proxy-authorization: Basic "+secret, "referer: https://u:"+secret+"@a.example/?sig="+secret,
	), h2test.Data(1, "content"), h2test.Trailers(1, "x-token: "+secret))
	answered := server.Append(nil, h2test.Settings(), h2test.Ack, promise,
		h2test.Response(1, 103, "link: </a?token="+secret+">; rel=preload"),
		h2test.Response(1, 200, "set-cookie: a="+secret+"; Secure", "location: /next#id_token="+secret), h2test.Data(1, "ok"),
		h2test.Trailers(1, "authentication-info: "+secret),
		h2test.Response(2, 200, "set-cookie: b="+secret).End(),
		frame.GoAway{LastStreamID: 1, DebugData: []byte("see /debug?password=" + secret)},
	)
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		if _, err := io.ReadFull(far, make([]byte, len(sent))); err != nil {
			ended <- err
			return
		}
		_, err := far.Write(answered)
		far.Close()
		ended <- err
	}()
	c := w.WrapConn(near, capture.Client)
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// No output has a secret unless it is asked for, and each has the requests that they were in.
func TestSecretsNowhere(t *testing.T) {
	name := written(t, whispered(t))
	for _, o := range []Options{
		{},
		{JSON: true},
		{Requests: true},
		{As: "http1"},
		{As: "http1", Bodies: true},
		{JSON: true, Bodies: true},
		{Bodies: true},
		{Diff: true, Files: []string{name, name}},
	} {
		for _, shown := range []bool{false, true} {
			dir := t.TempDir()
			if o.Files == nil {
				o.Files = []string{name}
			}
			o.ShowSecrets = shown
			if !o.Diff {
				o.HTML, o.HAR, o.Perfetto = filepath.Join(dir, "html"), filepath.Join(dir, "har"), filepath.Join(dir, "perfetto")
			}
			r := inspectIt(t, o)
			outputs := map[string]string{"output": r.out, "errors": r.err}
			for _, file := range []string{o.HTML, o.HAR, o.Perfetto} {
				if file == "" {
					continue
				}
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				outputs[filepath.Base(file)] = string(b)
			}
			for what, text := range outputs {
				if strings.Contains(text, "s3cr3t") != shown && (!shown || what != "errors") {
					t.Errorf("%+v: the %s has secrets: %t, want %t:\n%.3000s", o, what, !shown, shown, text)
				}
				if what != "errors" && !(strings.Contains(text, "/asked?") && strings.Contains(text, "/pushed?")) {
					t.Errorf("%+v: the %s lacks a request:\n%.3000s", o, what, text)
				}
			}
		}
	}
}
