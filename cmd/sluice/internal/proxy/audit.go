package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

// auditLog is a file of lines of JSON, one for each tunnel and request.
type auditLog struct {
	path string // "-" for a writer that is not ours

	mu   sync.Mutex // guards the fields below
	w    io.Writer
	file *os.File // that w is; nil where it is not ours
}

// openAudit opens the file, to which it appends, or takes stdout for "-".
func openAudit(path string, stdout io.Writer) (*auditLog, error) {
	a := &auditLog{path: path, w: stdout}
	return a, a.reopen()
}

// reopen opens the file again, which may have been renamed.
func (a *auditLog) reopen() error {
	if a.path == "-" {
		return nil
	}
	file, err := os.OpenFile(a.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("--audit: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close() // each line was written
	}
	a.file, a.w = file, file
	return nil
}

// write appends a line.
func (a *auditLog) write(r *tunnel.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.w.Write(append(line, '\n'))
	return err
}

func (a *auditLog) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close() // each line was written
	}
}

// logRecord logs a tunnel or request that has ended.
func logRecord(l *slog.Logger, r *tunnel.Record) {
	args := []any{"client", r.Client, "proto", r.Proto, "target", r.Target, "status", r.Status}
	for _, a := range []struct{ key, value string }{
		{"user", r.User}, {"addr", r.Addr}, {"upstream", r.Upstream}, {"rule", r.Rule},
	} {
		if a.value != "" {
			args = append(args, a.key, a.value)
		}
	}
	args = append(
		args,
		"sent",
		r.Sent,
		"received",
		r.Received,
		"duration",
		r.Duration.Round(time.Microsecond),
		"end",
		r.End,
	)
	if r.Error != "" {
		args = append(args, "error", r.Error)
	}
	l.Info(string(r.Kind), args...)
}
