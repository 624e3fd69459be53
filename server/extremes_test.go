package server

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// numbers returns the paths of all fields that are numbers in a struct, and in those within it.
func numbers(t reflect.Type, path []int) (list [][]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), path...), i)
		switch {
		case !f.IsExported():
		case f.Type.Kind() == reflect.Struct:
			list = append(list, numbers(f.Type, at)...)
		case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Int64:
			list = append(list, at)
		}
	}
	return list
}

// Whatever a number of the settings is, requests are served: the largest ones do not overflow, and
// negative ones and those out of range are brought into it.
func TestExtremeSettings(t *testing.T) {
	values := []int64{math.MaxInt64, math.MaxInt, math.MaxUint32, math.MaxInt32, math.MinInt, -1, 1}
	for _, at := range numbers(reflect.TypeFor[Config](), nil) {
		for _, v := range values {
			cfg := Config{}
			f := reflect.ValueOf(&cfg).Elem().FieldByIndex(at)
			name := reflect.TypeFor[Config]().FieldByIndex(at).Name
			if f.OverflowInt(v) {
				continue // on 32 bits
			}
			if v == 1 && name == "MaxDecoderHeaderTableSize" {
				continue // the peer would have to heed it
			}
			if v == 1 && (f.Type() == reflect.TypeFor[time.Duration]() || name == "MaxHeaderFields") {
				continue // too small for a request
			}
			f.SetInt(v)
			t.Run(fmt.Sprintf("%s %d", name, v), func(t *testing.T) { wantServes(t, cfg) })
		}
	}
}

// wantServes requires that a server with these settings serves requests of several kinds.
func wantServes(t *testing.T, cfg Config) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = w.Write(b)
			_, _ = io.WriteString(w, "ok")
		})
		srv.Config = cfg
		p := newPeer(t, srv)
		p.get(1)
		p.want("GET", ok(1)...)
		// A frame that comes in two pieces, as honest ones do.
		b := p.codec.Append(nil, p.request(3, "GET", "/3", true))
		p.write(b[:12])
		synctest.Wait()
		p.write(b[12:])
		p.want("in two pieces", ok(3)...)
		p.send(p.request(5, "GET", "/5", true), frame.Ping{})
		p.want("GET and PING", ok(5)...)
		cancel := frame.RSTStream{StreamID: 7, Code: frame.Cancel}
		p.send(p.request(7, "GET", "/7", true), cancel, p.request(9, "GET", "/", true))
		synctest.Wait()
		got := p.take()
		if len(got) == 4 && got[0] == ok(7)[0] {
			got = got[2:] // it was answered before the cancellation was read
		}
		if len(got) != 2 || got[0] != ok(9)[0] {
			t.Errorf("beside a request that is cancelled: %q", got)
		}
		p.close()
	})
}
