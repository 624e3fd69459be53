package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// TestInfoOf asks for the scheme and the connection of requests over HTTP/2, and of what is none.
func TestInfoOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var late http.ResponseWriter
		p := newPeer(t, serving(func(w http.ResponseWriter, r *http.Request) {
			info, ok := InfoOf(unwrapper{w})
			got = append(got, fmt.Sprintf("%s %q %t %t", r.Method, info.Scheme, info.Conn != nil, ok))
			late = w
		}))
		want := []string{`GET "http" true true`, `GET "https" true true`, `CONNECT "" true true`}
		p.send(p.request(1, "GET", "/", true))
		synctest.Wait()
		p.send(p.rawRequest(3, ":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"))
		synctest.Wait()
		p.send(p.request(5, "CONNECT", "a.test:443", true))
		synctest.Wait()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if info, ok := InfoOf(late); ok {
			t.Errorf("InfoOf after the handler: %+v", info)
		}
		p.take()
		p.close()
	})
	if info, ok := InfoOf(httptest.NewRecorder()); ok || info.Conn != nil {
		t.Errorf("InfoOf of a recorder: %+v, %t", info, ok)
	}
}
