package client

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Every exported field and method of http.Transport is here, with the same type.
func TestTransportHasWhatNetHTTPHas(t *testing.T) {
	theirs, ours := reflect.TypeFor[http.Transport](), reflect.TypeFor[Transport]()
	for i := range theirs.NumField() {
		f := theirs.Field(i)
		if !f.IsExported() {
			continue
		}
		if have, ok := ours.FieldByName(f.Name); !ok || have.Type != f.Type {
			t.Errorf("field %s %v: have %v", f.Name, f.Type, have.Type)
		}
	}
	methods, have := reflect.TypeFor[*http.Transport](), reflect.TypeFor[*Transport]()
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		got, ok := have.MethodByName(m.Name)
		switch {
		case !ok:
			t.Errorf("method %s is missing", m.Name)
		case m.Name == "NewClientConn" || m.Name == "Clone":
			// NewClientConn takes a connection here, and does not dial; Clone returns a *Transport
			// of this package.
		case withoutReceiver(got.Type) != withoutReceiver(m.Type):
			t.Errorf("method %s is a %v, want %v", m.Name, got.Type, m.Type)
		}
	}
}

func withoutReceiver(f reflect.Type) string {
	_, rest, _ := strings.Cut(f.String(), ",")
	if f.NumIn() == 1 {
		_, rest, _ = strings.Cut(f.String(), ")")
	}
	return rest
}

// A clone has every field, none of which it shares with the original where that could be changed.
func TestClone(t *testing.T) {
	tr := new(Transport)
	v := reflect.ValueOf(tr).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			fill(v.Field(i))
		}
	}
	c := tr.Clone()
	w := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Name == "Pool" || f.Name == "PushCache":
			if !w.Field(i).IsZero() {
				t.Errorf("the clone has the original's %s", f.Name)
			}
		case w.Field(i).IsZero() && !v.Field(i).IsZero():
			t.Errorf("the clone has no %s", f.Name)
		case f.Type.Kind() == reflect.Map || f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Slice:
			if w.Field(i).Pointer() == v.Field(i).Pointer() {
				t.Errorf("the clone shares %s", f.Name)
			}
		}
	}
}

// fill makes a field something else than zero, where that is easily done.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { panic("not called") }))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	}
}

// tripper is an http.RoundTripper of a function.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestRegisterProtocol(t *testing.T) {
	answer := func(body string) tripper {
		return func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
		}
	}
	configured, err := Configure(&http.Transport{Proxy: noProxy})
	if err != nil {
		t.Fatal(err)
	}
	s := newTCPServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "site")
	}))
	for name, tr := range map[string]*Transport{
		"Transport": {Proxy: noProxy}, "Configure": configured,
	} {
		tr.RegisterProtocol("words", answer("words"))
		tr.RegisterProtocol("http", tripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/mine" {
				return answer("mine")(req)
			}
			return nil, http.ErrSkipAltProtocol
		}))
		for url, want := range map[string]string{"words:///": "words", s + "/mine": "mine"} {
			resp, err := tr.RoundTrip(newRequest(t, "GET", url, nil))
			if err != nil {
				t.Errorf("%s: %s: %v", name, url, err)
				continue
			}
			if got := readAll(t, resp); got != want {
				t.Errorf("%s: %s: %q", name, url, got)
			}
		}
		if _, err := tr.RoundTrip(newRequest(t, "GET", "other:///", nil)); err == nil {
			t.Errorf("%s: a scheme that was not registered is answered", name)
		}
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != "protocol words already registered" {
					t.Errorf("%s: a second registration: %v", name, got)
				}
			}()
			tr.RegisterProtocol("words", answer(""))
		}()
		tr.CloseIdleConnections()
	}
}
