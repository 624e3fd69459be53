package peerserver

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The paths that servers answer.
const (
	Hello  = "/"       // [Answer]
	Fields = "/fields" // Answer below [NumFields] response fields
	MiB    = "/1m"     // 1 MiB
	TenMiB = "/10m"    // 10 MiB
	Upload = "/upload" // takes a body, and gives Answer at its end
	Sleep  = "/sleep"  // Answer, after [SleepTime]
	Events = "/events" // Answer, octet by octet, one each [EventInterval]
)

// How long Sleep takes, and the time between two octets of Events.
const (
	SleepTime     = 20 * time.Millisecond
	EventInterval = 50 * time.Millisecond
)

// Answer is the body of small responses.
const Answer = "Hello, World!"

// Filler is the octet of large bodies. It is not 0, since memory that was never written to is one
// page of zeros of the system's, over and over, which stays in every cache.
const Filler = '.'

// NumFields is how many fields more than usual a request or a response has in the scenarios about
// that.
const NumFields = 20

// A Field is one of NumFields fields, with the name as net/http spells it.
type Field struct{ Name, Value string }

// FieldList returns the NumFields fields.
func FieldList() []Field {
	list := make([]Field, NumFields)
	for i := range list {
		list[i] = Field{fmt.Sprintf("X-Field-%02d", i+1), fmt.Sprintf("the value of field %02d", i+1)}
	}
	return list
}

var (
	answer = []byte(Answer)
	fields = FieldList()
	large  = bytes.Repeat([]byte{Filler}, 10<<20)
	// copied are buffers for uploads, as large as those of io.Copy.
	copied = sync.Pool{New: func() any { return new([32 << 10]byte) }}
)

// Handler answers the paths.
func Handler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case Fields:
		h := w.Header()
		for _, f := range fields {
			h.Set(f.Name, f.Value)
		}
	case MiB:
		download(w, 1<<20)
		return
	case TenMiB:
		download(w, 10<<20)
		return
	case Sleep:
		time.Sleep(SleepTime)
	case Events:
		events(w)
		return
	case Upload:
		buf := copied.Get().(*[32 << 10]byte)
		err := drain(r.Body, buf[:])
		copied.Put(buf)
		if err != nil {
			return // the client has closed the connection, and reports that itself
		}
	}
	_, _ = w.Write(answer) // a client that has closed the connection counts that itself
}

func download(w http.ResponseWriter, size int) {
	w.Header().Set("Content-Length", strconv.Itoa(size))
	_, _ = w.Write(large[:size]) // as above
}

// events is a stream of events that ends after some.
func events(w http.ResponseWriter) {
	for i := range answer {
		_, _ = w.Write(answer[i : i+1]) // as above
		_ = http.NewResponseController(w).Flush()
		time.Sleep(EventInterval)
	}
}

// drain reads to the end.
func drain(r io.Reader, buf []byte) error {
	for {
		_, err := r.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
