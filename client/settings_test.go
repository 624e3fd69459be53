package client

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/settingstest"
	"github.com/sluice-go/sluice/stream/priority"
)

type sampleTracer struct{}

func (sampleTracer) TraceFrame(*conn.Conn, conn.FrameTrace) {}

// Every field that a Transport shares with conn.Config has the same type there and is carried over.
func TestSettingsReachConn(t *testing.T) {
	tr := new(Transport)
	names := settingstest.Shared(t, tr, new(conn.Config))
	settingstest.Carried(t, names, tr, func() any { return tr.connConfig() }, priority.NewTree, sampleTracer{})
}

// Comments say of every field that conn.Config has too that it is documented there, and name the
// defaults that differ.
func TestSettingsDefaults(t *testing.T) {
	comments := settingstest.Comments(t, "transport.go", "Transport")
	tr := new(Transport)
	cc := reflect.ValueOf(tr.connConfig())
	values := map[string]any{
		"DefaultMaxResponseHeaderBytes":        DefaultMaxResponseHeaderBytes,
		"DefaultMaxResponseHeaderFields":       DefaultMaxResponseHeaderFields,
		"DefaultSendPingTimeout":               DefaultSendPingTimeout,
		"DefaultMaxReceiveBufferPerConnection": DefaultMaxReceiveBufferPerConnection,
		"DefaultMaxReceiveBufferPerStream":     DefaultMaxReceiveBufferPerStream,
		"DefaultMaxUnreadPerConnection":        DefaultMaxUnreadPerConnection,
		"DefaultReplayBuffer":                  DefaultReplayBuffer,
		"DefaultMaxAttempts":                   DefaultMaxAttempts,
		"DefaultMaxPushedStreams":              DefaultMaxPushedStreams,
		"DefaultMaxIdleConnsPerHost":           DefaultMaxIdleConnsPerHost,
		"DefaultTLSHandshakeTimeout":           DefaultTLSHandshakeTimeout,
	}
	settingstest.Defaults(t, comments, values, func(field string) any {
		switch field {
		case "MaxResponseHeaderBytes":
			return cc.FieldByName("MaxHeaderBytes").Interface()
		case "MaxResponseHeaderFields":
			return cc.FieldByName("MaxHeaderFields").Interface()
		case "MaxPushedStreams":
			return cc.FieldByName("MaxConcurrentStreams").Interface()
		case "ReplayBuffer":
			return tr.replayBuffer()
		case "MaxAttempts":
			return tr.maxAttempts()
		case "MaxIdleConnsPerHost":
			return tr.newHTTP1().MaxIdleConnsPerHost
		case "TLSHandshakeTimeout":
			return tr.newHTTP1().TLSHandshakeTimeout
		}
		return cc.FieldByName(field).Interface()
	})
	own := map[string]any{
		"FrameTimeout":                  conn.DefaultFrameTimeout,
		"MaxReceiveBufferGrowth":        conn.DefaultMaxReceiveBufferGrowth,
		"SendPingTimeout":               DefaultSendPingTimeout,
		"MaxReceiveBufferPerConnection": DefaultMaxReceiveBufferPerConnection,
		"MaxReceiveBufferPerStream":     DefaultMaxReceiveBufferPerStream,
		"MaxUnreadPerConnection":        DefaultMaxUnreadPerConnection,
	}
	for _, name := range settingstest.Shared(t, tr, new(conn.Config)) {
		if !strings.Contains(comments[name], "as in conn.Config") {
			t.Errorf("%s: the comment does not say that it is as in conn.Config: %s", name, comments[name])
		}
		got := cc.FieldByName(name)
		if want, ok := own[name]; ok && got.Interface() != want || !ok && !got.IsZero() {
			t.Errorf("%s is %v by default", name, got)
		}
	}
}

// A Transport can be filled in with nothing but this package, net/http and the standard library.
func TestOneImport(t *testing.T) {
	tr := &Transport{
		Limits:        Limits{MaxInterim: 1},
		Scheduler:     func() Scheduler { return nil },
		Tracer:        Tracer(nil),
		FramePolicy:   FramePolicy(nil),
		Padding:       PaddingFunc(nil),
		SettingsOrder: []SettingID{4},
	}
	if tr.Limits.MaxInterim != 1 {
		t.Error("the limit is lost")
	}
}
