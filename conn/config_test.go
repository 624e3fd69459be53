package conn

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/settingstest"
	"github.com/sluice-go/sluice/stream/priority"
)

// namedCoreField is the field of core.Config that a field of Config becomes where the two have
// different names.
var namedCoreField = map[string]string{
	"MaxDecoderHeaderTableSize":     "DecoderTableSize",
	"MaxEncoderHeaderTableSize":     "EncoderTableSize",
	"MaxReceiveBufferPerConnection": "ConnWindow",
	"MaxReceiveBufferPerStream":     "StreamWindow",
	"MaxUnreadPerConnection":        "MaxUnread",
	"MaxReceiveBufferGrowth":        "WindowGrowth",
	"SendPingTimeout":               "PingInterval",
	"MaxConnectionAgeGrace":         "DrainGrace",
}

// notOfCore are the fields of Config that this package uses itself.
var notOfCore = []string{
	"WriteByteTimeout", "CountError", "TunnelCloseTimeout", "MaxConnectionAge", "Tracer", "FramePolicy",
	"Origins", "OnOrigin", "OnAltSvc", "Received", "Upgrade",
}

// Every field of Config becomes one of core.Config or is used here, and every setting of
// core.Config can be made from here.
func TestConfigReachesCore(t *testing.T) {
	set := map[string]bool{"Role": true, "PrefaceDone": true, "NewStream": true} // are no settings
	for _, role := range []core.Role{core.Server, core.Client} {
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
			var c Config
			before := reflect.ValueOf(c.core(role))
			reflect.ValueOf(&c).Elem().FieldByIndex(f.Index).Set(settingstest.Odd(f.Type, priority.NewTree, sampleTracer{}))
			after := reflect.ValueOf(c.core(role))
			want := f.Name
			if name, ok := namedCoreField[want]; ok {
				want = name
			}
			for _, g := range coreFields() {
				name := g.Name
				if printed(before.FieldByIndex(g.Index)) == printed(after.FieldByIndex(g.Index)) {
					continue
				}
				set[name] = true
				implied := name == "WindowGrowth" && (want == "ConnWindow" || want == "StreamWindow") ||
					name == "FrameTimeout" && want == "HeaderTimeout"
				if name != want && !implied {
					t.Errorf("%v: %s of Config sets %s of core.Config", role, f.Name, name)
				}
			}
			if _, ok := before.Type().FieldByName(want); ok == slices.Contains(notOfCore, f.Name) {
				t.Errorf("%s: a field of core.Config: %v", f.Name, ok)
			}
		}
	}
	for _, f := range coreFields() {
		if !set[f.Name] {
			t.Errorf("no field of Config sets %s of core.Config", f.Name)
		}
	}
}

// coreFields returns the fields of core.Config and of the structs that are embedded in it.
func coreFields() []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[core.Config]()),
		func(f reflect.StructField) bool { return f.Anonymous })
}

// printed prints a value in a form by which values that differ can be told apart.
func printed(v reflect.Value) string {
	if v.Kind() == reflect.Interface {
		return fmt.Sprintf("%T", v.Interface())
	}
	return fmt.Sprint(v)
}

type sampleTracer struct{}

func (sampleTracer) TraceFrame(*Conn, FrameTrace) {}

// The defaults that the comments of Config name are those of a connection.
func TestConfigDefaults(t *testing.T) {
	values := map[string]any{
		"DefaultMaxConcurrentStreams":          DefaultMaxConcurrentStreams,
		"DefaultHeaderTableSize":               DefaultHeaderTableSize,
		"DefaultMaxReadFrameSize":              DefaultMaxReadFrameSize,
		"DefaultMaxReceiveBufferPerConnection": DefaultMaxReceiveBufferPerConnection,
		"DefaultMaxReceiveBufferPerStream":     DefaultMaxReceiveBufferPerStream,
		"DefaultMaxUnreadPerConnection":        DefaultMaxUnreadPerConnection,
		"DefaultMaxReceiveBufferGrowth":        DefaultMaxReceiveBufferGrowth,
		"DefaultMaxHeaderBytes":                DefaultMaxHeaderBytes,
		"DefaultMaxHeaderFields":               DefaultMaxHeaderFields,
		"DefaultPingTimeout":                   DefaultPingTimeout,
		"DefaultWriteByteTimeout":              DefaultWriteByteTimeout,
		"DefaultPrefaceTimeout":                DefaultPrefaceTimeout,
		"DefaultSettingsTimeout":               DefaultSettingsTimeout,
		"DefaultHeaderTimeout":                 DefaultHeaderTimeout,
		"DefaultFrameTimeout":                  DefaultFrameTimeout,
		"DefaultStallTimeout":                  DefaultStallTimeout,
		"DefaultTunnelCloseTimeout":            DefaultTunnelCloseTimeout,
	}
	settingstest.Defaults(t, settingstest.Comments(t, "config.go", "Config"), values, func(field string) any {
		switch field { // what this package uses itself has a test of its own
		case "WriteByteTimeout":
			return new(Config).runtimeOptions().writeTimeout
		case "TunnelCloseTimeout":
			return DefaultTunnelCloseTimeout
		}
		if name, ok := namedCoreField[field]; ok {
			field = name
		}
		return reflect.ValueOf((&Config{}).core(core.Server)).FieldByName(field).Interface()
	})
}
