package client

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
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

// Whatever a number of the settings is, responses arrive.
func TestExtremeSettings(t *testing.T) {
	values := []int64{math.MaxInt64, math.MaxInt, math.MaxUint32, math.MaxInt32, math.MinInt, -1}
	for _, at := range numbers(reflect.TypeFor[Transport](), nil) {
		name := reflect.TypeFor[Transport]().FieldByIndex(at).Name
		for _, v := range values {
			set := func(tr *Transport) bool {
				f := reflect.ValueOf(tr).Elem().FieldByIndex(at)
				if f.OverflowInt(v) {
					return false // on 32 bits
				}
				f.SetInt(v)
				return true
			}
			if !set(new(Transport)) {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", name, v), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.WriteString(w, "ok")
						w.(http.Flusher).Flush()
						time.Sleep(time.Second)
						_, _ = io.WriteString(w, "ok")
					}))
					tr := s.transport(func(tr *Transport) { set(tr) })
					for range 3 {
						resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+"/", nil))
						if err != nil {
							t.Fatal(err)
						}
						if b := readAll(t, resp); b != "okok" {
							t.Errorf("the body is %q", b)
						}
					}
					s.stop(tr)
				})
			})
		}
	}
}
