package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/sluice-go/sluice/tunnel"
)

// A Log is a file of lines of JSON, one for each tunnel and request.
type Log struct {
	path string // "-" for a writer that is not ours

	mu   sync.Mutex // guards the fields below
	w    io.Writer
	file *os.File // that w is; nil where it is not ours
}

// Open opens the file, to which it appends, or takes stdout for "-".
func Open(path string, stdout io.Writer) (*Log, error) {
	a := &Log{path: path, w: stdout}
	return a, a.Reopen()
}

// Reopen opens the file again, which may have been renamed.
func (a *Log) Reopen() error {
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

// Write appends a line.
func (a *Log) Write(r *tunnel.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.w.Write(append(line, '\n'))
	return err
}

// Close closes the file.
func (a *Log) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close() // each line was written
	}
}

// Func returns a function for Proxy.Audit that appends lines, and logs that it could not.
func (a *Log) Func(log *slog.Logger) func(*tunnel.Record) {
	return func(r *tunnel.Record) {
		if err := a.Write(r); err != nil {
			log.Error("the audit log was not written", "error", err)
		}
	}
}
