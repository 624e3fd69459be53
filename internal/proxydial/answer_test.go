package proxydial

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// answered dials target.test:443 through a proxy that gives an answer, and then closes where closes
// is set.
func answered(t *testing.T, answer string, closes bool, adjust ...func(*Dialer)) (net.Conn, error) {
	t.Helper()
	l := memconn.Listen(memconn.Options{})
	defer l.Close()
	d := &Dialer{Proxy: &url.URL{Scheme: "http", Host: "proxy.test:3128"}, Dial: l.Dial}
	for _, f := range adjust {
		f(d)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(nc)
		if req, err := http.ReadRequest(r); err != nil || req.Method != "CONNECT" || req.Host != "target.test:443" {
			t.Errorf("the proxy got %+v, %v", req, err)
		}
		_, _ = io.WriteString(nc, answer)
		if closes {
			_ = nc.Close()
		} else {
			t.Cleanup(func() { _ = nc.Close() })
		}
	}()
	nc, err := d.DialContext(t.Context(), "tcp", "target.test:443")
	<-done
	return nc, err
}

// What opens a tunnel: any 2xx, whatever it says of a body, and behind what is skipped. What comes
// behind the head is the tunnel's.
func TestAnswersThatOpen(t *testing.T) {
	for name, answer := range map[string]string{
		"200":                      "HTTP/1.1 200 OK\r\n\r\n",
		"no reason":                "HTTP/1.1 200\r\n\r\n",
		"empty reason":             "HTTP/1.1 200 \r\n\r\n",
		"HTTP/1.0":                 "HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n",
		"204":                      "HTTP/1.1 204 No Content\r\n\r\n",
		"299":                      "HTTP/1.1 299 Odd\r\n\r\n",
		"Content-Length":           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"two of them":              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"one that is no number":    "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
		"chunked":                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"an unknown encoding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"lines that end with LF":   "HTTP/1.1 200 OK\nA: b\n\n",
		"100":                      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"five interim":             strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 5) + ok200,
		"a long head":              "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 60_000) + "\r\n\r\n",
		"a head at a buffer's end": "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 4096-22) + "\r\n\r\n",
	} {
		for _, early := range []string{
			"", "e", "220 smtp.test ESMTP\r\n\r\nHTTP/1.1 403 No\r\n\r\n", strings.Repeat("0123456789", 500),
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc, err := answered(t, answer+early, true)
					if err != nil {
						t.Fatal(err)
					}
					defer nc.Close()
					if got, err := io.ReadAll(nc); string(got) != early || err != nil {
						t.Errorf("the tunnel has %q, %v; want %q", got, err, early)
					}
				})
			})
		}
	}
}

// What does not open a tunnel, and what the error has then.
func TestAnswersThatDoNot(t *testing.T) {
	long := strings.Repeat("b", 5000)
	for _, tt := range []struct {
		name, answer string
		status       int
		body, text   string
	}{
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!more", 403, "no!", `403 Forbidden ("no!")`},
		{"chunked", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 403, "no", `("no")`},
		{"body to the end", "HTTP/1.1 503 Busy\r\n\r\nsorry\nwhat", 503, "sorry\nwhat", `503 Service Unavailable ("sorry")`},
		{"long body", "HTTP/1.1 403 Forbidden\r\n\r\n" + long, 403, long[:1024], `403 Forbidden`},
		{"truncated body", "HTTP/1.1 403 Forbidden\r\nContent-Length: 30\r\n\r\nno", 403, "no", `403 Forbidden ("no")`},
		{"HTML", "HTTP/1.1 403 Forbidden\r\n\r\n<html>", 403, "<html>", "target.test:443: 403 Forbidden"},
		{
			"Proxy-Status", "HTTP/1.1 502 Bad\r\nProxy-Status: a; error=dns_error\r\nProxy-Status: b\r\n\r\ntext", 502, "text",
			"502 Bad Gateway (a; error=dns_error, b)",
		},
		{"odd framing", "HTTP/1.1 403 No\r\nContent-Length: x\r\n\r\nno", 403, "", "bad Content-Length"},
		{"302", "HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\nContent-Length: 0\r\n\r\n", 302, "", "302 Found"},
		{"999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, "", ": 999"},
		{"407", plain407 + "Content-Length: 0\r\n\r\n", 407, "", "407 Proxy Auth"},
		{"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "", "not asked for"},
		{"six interim", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + ok200, 0, "", "interim"},
		{"long head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 70_000) + "\r\n\r\n", 200, "", "longer than 65536"},
		{"long interim heads", strings.Repeat("HTTP/1.1 103 X\r\nA: "+long+long+long+long+"\r\n\r\n", 4), 103, "", "longer"},
		{"endless line", strings.Repeat("HTTP/", 20_000), 0, "", "longer"},
		{"malformed field", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 200, "", "malformed"},
		{"nothing", "", 0, "", "unexpected EOF"},
		{"SMTP", "220 smtp.test ESMTP\r\n", 0, "", `it begins with "220 s"`},
		{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", 0, "", "not HTTP/1"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", 0, "", "not HTTP/1"},
		{"HTTP/2 status line", "HTTP/2 200 OK\r\n\r\n", 0, "", "status line"},
		{"letters", "HTTP/1.1 2OO OK\r\n\r\n", 0, "", "status line"},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, "", "status line"},
		{"099", "HTTP/1.1 099 OK\r\n\r\n", 0, "", "status line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, err := answered(t, tt.answer, true)
				var e *Error
				if nc != nil || !errors.As(err, &e) {
					t.Fatalf("%v, %v", nc, err)
				}
				if e.StatusCode != tt.status || string(e.Body) != tt.body || e.Addr != "proxy.test:3128" ||
					e.Target != "target.test:443" || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%q: %+v", err, e)
				}
			})
		})
	}
}

// An answer that ends at any octet of its head is an error, and opens no tunnel; one that ends in
// its body has its status.
func TestTruncatedAnswers(t *testing.T) {
	head := "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nB: c\r\n\r\n"
	refusal := "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\n"
	for n := range len(head) {
		synctest.Test(t, func(t *testing.T) {
			nc, err := answered(t, head[:n], true)
			var e *Error
			if nc != nil || !errors.As(err, &e) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("after %d octets: %v, %v", n, nc, err)
			}
		})
	}
	for n := range 10 {
		synctest.Test(t, func(t *testing.T) {
			_, err := answered(t, refusal+"0123456789"[:n], true)
			var e *Error
			if !errors.As(err, &e) || e.StatusCode != 403 || len(e.Body) != n {
				t.Fatalf("with %d octets of its body: %v", n, err)
			}
		})
	}
}

// A proxy that does not answer, or not whole, is waited for as long as AnswerTimeout says, and a
// body that does not end for two seconds.
func TestSlowAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   time.Duration
		status int
	}{
		{"", time.Minute, 0},
		{"HTTP/1.1 200 OK\r\nA:", time.Minute, 0},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno", bodyTimeout, 403},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			_, err := answered(t, tt.answer, false)
			var e *Error
			if !errors.As(err, &e) || e.StatusCode != tt.status || time.Since(begin) != tt.want {
				t.Errorf("%q: %v after %v", tt.answer, err, time.Since(begin))
			}
		})
	}
}

// FuzzAnswer: no answer makes the parser panic, read beyond its bounds, or lose what follows a head
// that opens the tunnel, however it is cut into reads.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\nearly", "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.0 200\n\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", "HTTP/1.1 2", "\x15\x03",
		"HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n \r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	req := &http.Request{Method: http.MethodConnect}
	f.Fuzz(func(t *testing.T, answer []byte) {
		r := bufio.NewReader(bytes.NewReader(answer))
		resp, _, err := readAnswer(r, req)
		again, _, errAgain := readAnswer(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(answer))), req)
		if (err == nil) != (errAgain == nil) || (resp == nil) != (again == nil) {
			t.Fatalf("%q: %v, and octet by octet %v", answer, err, errAgain)
		}
		if resp != nil && resp.StatusCode != again.StatusCode {
			t.Fatalf("%q: %d, and octet by octet %d", answer, resp.StatusCode, again.StatusCode)
		}
		if err != nil {
			return
		}
		if resp.StatusCode < 200 || resp.StatusCode > 999 || resp.Header == nil {
			t.Fatalf("%q: %+v", answer, resp)
		}
		if resp.StatusCode/100 != 2 {
			_, _ = io.Copy(io.Discard, resp.Body)
			return
		}
		rest, _ := io.ReadAll(r)
		end := len(answer) - len(rest)
		if !bytes.HasSuffix(answer, rest) || !bytes.HasSuffix(answer[:end], []byte("\n")) {
			t.Fatalf("%q: the tunnel begins with %q", answer, rest)
		}
	})
}
