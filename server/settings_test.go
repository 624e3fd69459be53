package server

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/settingstest"
	"github.com/sluice-go/sluice/stream/priority"
)

type sampleTracer struct{}

func (sampleTracer) TraceFrame(*conn.Conn, conn.FrameTrace) {}

// Every field that a Server or its Config shares with conn.Config has the same type there and is
// carried over.
func TestConfigReachesConn(t *testing.T) {
	samples := []any{priority.NewTree, sampleTracer{}}
	var names []string
	for _, name := range settingstest.Shared(t, new(Server), new(conn.Config)) {
		if name != "Origins" { // newServerConn sets it, over TLS only
			names = append(names, name)
		}
	}
	s := new(Server)
	settingstest.Carried(t, names, s, func() any {
		cfg := s.complete(s.Config)
		return cfg.connConfig(s.newHTTP1Server())
	}, samples...)
}

// Comments say of every field of Config that conn.Config has too that it is documented there, and
// its default is the one there.
func TestConfigDefaults(t *testing.T) {
	comments := settingstest.Comments(t, "config.go", "Config")
	cc := (&Config{}).connConfig(&http.Server{})
	settingstest.Defaults(t, comments, map[string]any{"DefaultFirstByteTimeout": DefaultFirstByteTimeout},
		func(field string) any { return reflect.ValueOf(cc).FieldByName(field).Interface() })
	own := map[string]time.Duration{
		"FirstByteTimeout": DefaultFirstByteTimeout,
		"FrameTimeout":     conn.DefaultFrameTimeout,
	}
	for _, name := range settingstest.Shared(t, new(Config), new(conn.Config)) {
		if !strings.Contains(comments[name], "as in conn.Config") {
			t.Errorf("%s: the comment does not say that it is as in conn.Config: %s", name, comments[name])
		}
		got := reflect.ValueOf(cc).FieldByName(name)
		if want, ok := own[name]; ok && got.Interface() != want || !ok && !got.IsZero() {
			t.Errorf("%s is %v by default", name, got)
		}
	}
}

// A Server can be filled in with nothing but this package, net/http and the standard library.
func TestOneImport(t *testing.T) {
	srv := &Server{Config: Config{
		Limits:        Limits{MaxInterim: 1},
		Scheduler:     func() Scheduler { return nil },
		Tracer:        Tracer(nil),
		FramePolicy:   FramePolicy(nil),
		Padding:       PaddingFunc(nil),
		SettingsOrder: []SettingID{4},
	}}
	if srv.Limits.MaxInterim != 1 {
		t.Error("the limit is lost")
	}
}
