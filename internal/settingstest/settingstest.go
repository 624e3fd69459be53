// Package settingstest holds the settings of several packages together: fields of one name have one
// type, are carried over from one struct to the next, and have the default that their comment
// names. It is for tests.
package settingstest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Shared returns the names of the exported fields that the structs to which a and b point both
// have, those of embedded structs included. It is an error if one has not the same type in both.
func Shared(t *testing.T, a, b any) (names []string) {
	t.Helper()
	for _, f := range reflect.VisibleFields(reflect.TypeOf(a).Elem()) {
		g, ok := reflect.TypeOf(b).Elem().FieldByName(f.Name)
		if !ok || !f.IsExported() || f.Anonymous {
			continue
		}
		if f.Type != g.Type {
			t.Errorf("%s is a %v in %T, and a %v in %T", f.Name, f.Type, a, g.Type, b)
			continue
		}
		names = append(names, f.Name)
	}
	if len(names) < 10 {
		t.Errorf("%T and %T share the fields %q only", a, b, names)
	}
	return names
}

// Carried checks that each of the named fields of the struct that from points to, set to a value
// that is not its default, is in what translate returns then: a struct with fields of these names.
// samples are values for fields that are interfaces, or functions that are called.
func Carried(t *testing.T, names []string, from any, translate func() any, samples ...any) {
	t.Helper()
	v := reflect.ValueOf(from).Elem()
	for _, name := range names {
		f := v.FieldByName(name)
		f.Set(Odd(f.Type(), samples...))
		got := reflect.ValueOf(translate()).FieldByName(name)
		if !same(got, f) {
			t.Errorf("%s is %v in %v, and %v in what is made of it", name, f, v.Type(), got)
		}
		f.SetZero()
	}
}

// same compares two values; of functions it compares the code.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Func {
		return a.Pointer() == b.Pointer()
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// Odd returns a value of a type that is valid for every setting of it and the default of none: one
// of samples where one has the type.
func Odd(typ reflect.Type, samples ...any) reflect.Value {
	v := reflect.New(typ).Elem()
	for _, s := range samples {
		if reflect.TypeOf(s).AssignableTo(typ) {
			v.Set(reflect.ValueOf(s))
			return v
		}
	}
	switch typ.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(123_457)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(3)
	case reflect.Func:
		v.Set(reflect.MakeFunc(typ, func([]reflect.Value) []reflect.Value { panic("not to be called") }))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(typ, 1, 1))
		v.Index(0).Set(Odd(typ.Elem()))
	case reflect.String:
		v.SetString("odd")
	case reflect.Struct:
		v.Field(0).Set(Odd(typ.Field(0).Type))
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
	default:
		panic("settingstest: no sample of " + typ.String())
	}
	return v
}

// Comments returns the comments of the fields of a struct type that is declared in a file.
func Comments(t *testing.T, file, typ string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != typ {
			return true
		}
		last := ""
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Doc != nil {
				last = strings.Join(strings.Fields(field.Doc.Text()), " ")
			}
			for _, name := range field.Names {
				comments[name.Name] = last // that of the first field of a group holds for all
			}
		}
		return false
	})
	if len(comments) == 0 {
		t.Fatalf("%s has no struct %s", file, typ)
	}
	return comments
}

// namedDefault matches "Default [DefaultName], value", where the name may have a package.
var namedDefault = regexp.MustCompile(
	`[Dd]efault \[((?:\w+\.)?Default\w+)\], ([0-9]+(?:,[0-9]{3})*(?: (?:s|minutes?|hours?|KiB|MiB)\b)?)`)

// Defaults checks the defaults that comments name: each is among values, by the name that comments
// have for the constant, is followed by its value, and is what actual returns for the field. Each
// of values must be named.
func Defaults(t *testing.T, comments map[string]string, values map[string]any, actual func(field string) any) {
	t.Helper()
	named := make(map[string]bool)
	for field, comment := range comments {
		if regexp.MustCompile(`Default [1-9]`).MatchString(comment) {
			t.Errorf("%s: the default is a number and no constant: %s", field, comment)
		}
		m := namedDefault.FindStringSubmatch(comment)
		if m == nil {
			if strings.Contains(comment, "[Default") {
				t.Errorf("%s: the value does not follow the constant: %s", field, comment)
			}
			continue
		}
		name := m[1]
		named[name] = true
		value, ok := values[name]
		if !ok {
			t.Errorf("%s: the default %s is not known to the test", field, name)
			continue
		}
		if says := forms(value); !slices.Contains(says, m[2]) {
			t.Errorf("%s: the comment says %s of %s, which is %s", field, m[2], name, says[0])
		}
		if got := actual(field); fmt.Sprint(number(got)) != fmt.Sprint(number(value)) {
			t.Errorf("%s: the comment names %s, %v, and it is %v", field, name, value, got)
		}
	}
	for name := range values {
		if !named[name] {
			t.Errorf("no comment names %s", name)
		}
	}
}

// number returns a whole number of any type as an int64.
func number(v any) any {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return nil
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(r.Uint())
	}
	return v
}

// forms returns how a comment may state a value.
func forms(v any) []string {
	if d, ok := v.(time.Duration); ok {
		for _, unit := range []struct {
			d    time.Duration
			name string
		}{{time.Hour, "hour"}, {time.Minute, "minute"}} {
			switch n := d / unit.d; {
			case d%unit.d != 0:
			case n == 1:
				return []string{"1 " + unit.name}
			default:
				return []string{fmt.Sprint(int(n), " ", unit.name, "s")}
			}
		}
		return []string{fmt.Sprint(int(d/time.Second), " s")}
	}
	n := number(v).(int64)
	list := []string{fmt.Sprint(n)}
	if n >= 10_000 {
		list = append(list, fmt.Sprintf("%d,%03d", n/1000, n%1000))
	}
	for shift, unit := range map[int]string{10: " KiB", 20: " MiB"} {
		if n>>shift > 0 && n>>shift<<shift == n {
			list = append(list, fmt.Sprint(n>>shift, unit))
		}
	}
	return list
}
