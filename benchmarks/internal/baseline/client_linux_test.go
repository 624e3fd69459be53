package baseline

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

// A client reports when it did not get what it has asked for.
func TestClientProblem(t *testing.T) {
	response := newResponse()
	tests := []struct {
		name    string
		answer  []byte
		problem string
	}{
		{"whole", response.appendTo(response.appendTo(nil, 1), 3), ""},
		{"one of two", response.appendTo(nil, 1), "EOF"},
		{"reset", frame.RSTStream{StreamID: 1, Code: frame.Cancel}.Append(nil), "RST_STREAM"},
		{"end", frame.GoAway{}.Append(nil), "GOAWAY"},
		{
			"short",
			response.appendTo(frame.Data{StreamID: 1, EndStream: true}.Append(nil), 3),
			"13 octets of bodies came, not 26",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := struct {
				io.Reader
				io.Writer
			}{bytes.NewReader(tt.answer), io.Discard}
			err := newClient(s, newRequest("127.0.0.1:80", "/")).Do(2, 1, 13)
			if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%v, want %q", err, tt.problem)
			}
		})
	}
	if _, err := Dial("http://127.0.0.1:0/"); err == nil {
		t.Error("there is a connection to nobody")
	}
}
