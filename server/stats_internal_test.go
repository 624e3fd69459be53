package server

import (
	"reflect"
	"testing"

	"github.com/sluice-go/sluice/conn"
)

// No counter of a connection is forgotten in the sum over connections.
func TestStatsAddEveryCounter(t *testing.T) {
	var one, sum conn.Stats
	for _, f := range reflect.VisibleFields(reflect.TypeOf(one)) {
		if v := reflect.ValueOf(&one).Elem().FieldByIndex(f.Index); v.CanInt() {
			v.SetInt(3)
		} else if v.CanUint() {
			v.SetUint(3)
		}
	}
	addConnStats(&sum, one)
	addConnStats(&sum, one)
	for _, f := range reflect.VisibleFields(reflect.TypeOf(sum)) {
		v := reflect.ValueOf(sum).FieldByIndex(f.Index)
		switch {
		case f.Anonymous || f.Name == "RTT": // the round-trip times of different peers have no sum
		case f.Name == "LastError":
			if v.Uint() != 3 {
				t.Errorf("LastError is %v", v)
			}
		case v.CanInt() && v.Int() != 6 || v.CanUint() && v.Uint() != 6:
			t.Errorf("%s is %v, want 6", f.Name, v)
		}
	}
}
