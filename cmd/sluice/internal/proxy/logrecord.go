package proxy

import (
	"log/slog"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

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
