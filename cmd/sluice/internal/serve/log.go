package serve

import (
	"log"
	"net/http"
	"time"
)

// logRequests writes a line for each request when it has ended.
func logRequests(l *log.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		ended := false
		defer func() {
			status, note := rec.status, ""
			if status == 0 {
				status = http.StatusOK
			}
			if !ended {
				note = " aborted"
			}
			l.Printf("%s %s %s %q %d %d B %v%s", r.RemoteAddr, r.Proto, r.Method, r.URL, status, rec.bytes,
				time.Since(start).Round(time.Microsecond), note)
		}()
		next.ServeHTTP(rec, r)
		ended = true
	})
}

// recorder is a ResponseWriter that keeps the status and counts the octets of the body.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap returns the ResponseWriter below, for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
