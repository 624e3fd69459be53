package sluice_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tables of docs/architecture/locks.md have a row for each lock and for each go statement of
// the library, and no other. A missing row is printed as it is to be completed and pasted.
func TestLocksAndGoroutines(t *testing.T) {
	const document = "docs/architecture/locks.md"
	var locks, goes []string
	for _, file := range librarySources(t) {
		f := parseGo(t, file, 0)
		for _, name := range variablesOf(f, "Mutex", "RWMutex") {
			locks = append(locks, codeRow(name, file))
		}
		for _, name := range goStatementsOf(f) {
			goes = append(goes, codeRow(name, file))
		}
	}
	text := read(t, document)
	compareRows(t, document, "Locks", locks, codeRowsOf(text, "Locks"))
	compareRows(t, document, "Goroutines", goes, codeRowsOf(text, "Goroutines"))
}

// The table of pools in docs/architecture/caches.md has each sync.Pool of the library, and no
// other.
func TestPools(t *testing.T) {
	const document = "docs/architecture/caches.md"
	var pools []string
	for _, file := range librarySources(t) {
		for _, name := range variablesOf(parseGo(t, file, 0), "Pool") {
			pools = append(pools, codeRow(name, file))
		}
	}
	compareRows(t, document, "Pools", pools, codeRowsOf(read(t, document), "Pools"))
}

// The table of layers in docs/ARCHITECTURE.md has each package with the packages that it imports
// beside the standard library, and each of these is in a lower layer or, in the same one, above it
// in the table.
func TestImports(t *testing.T) {
	const document = "docs/ARCHITECTURE.md"
	imports := importsOf(t)
	row := regexp.MustCompile("^\\| (\\d) \\| `([^`]+)` \\|.*\\| ([^|]*) \\|$")
	layers := map[string]int{}
	for line := range strings.Lines(section(read(t, document), "Layers")) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		name, layer := m[2], int(m[1][0]-'0')
		want := "–"
		if list := imports[name]; len(list) > 0 {
			want = "`" + strings.Join(list, "` `") + "`"
		}
		if m[3] != want {
			t.Errorf("%s: %s imports\n\t%s\nand the table has\n\t%s", document, name, want, m[3])
		}
		for _, other := range imports[name] {
			below, ok := layers[other]
			if !strings.Contains(other, ".") && (!ok || below > layer) {
				t.Errorf("%s: %s of layer %d imports %s, which is not above it", document, name, layer, other)
			}
		}
		layers[name] = layer
	}
	for name := range imports {
		if _, ok := layers[name]; !ok {
			t.Errorf("%s: the table of layers has no row for %s", document, name)
		}
	}
}

// The file that docs/architecture/rfc9113.md names first for a section cites that section.
func TestSectionsOfRFC9113(t *testing.T) {
	const document = "docs/architecture/rfc9113.md"
	row := regexp.MustCompile("(?m)^\\| \\[§([0-9.]+)\\]\\([^)]*\\) \\| [^|]* \\| `([^`]+)` \\|")
	rows := row.FindAllStringSubmatch(read(t, document), -1)
	for _, m := range rows {
		cited := regexp.MustCompile(`§` + regexp.QuoteMeta(m[1]) + `([^0-9.]|\.[^0-9]|\.?$)`)
		if !cited.MatchString(read(t, m[2])) {
			t.Errorf("%s: %s does not cite §%s", document, m[2], m[1])
		}
	}
	if len(rows) < 40 {
		t.Errorf("%s has %d rows", document, len(rows))
	}
}

// codeRow is the beginning of a row of a table in docs/architecture.
func codeRow(name, file string) string {
	return fmt.Sprintf("| `%s` | [%s](../../%s) |", name, file, file)
}

// codeRowsOf returns the beginnings of the rows of the first table below a heading.
func codeRowsOf(text, heading string) []string {
	row := regexp.MustCompile("(?m)^\\| `[^`]+` \\| \\[[^\\]]+\\]\\([^)]+\\) \\|")
	return row.FindAllString(section(text, heading), -1)
}

// section returns what follows a heading of the second level, up to the next.
func section(text, heading string) string {
	_, text, _ = strings.Cut(text, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// compareRows reports rows that the table lacks or has beyond those of the code.
func compareRows(t *testing.T, document, heading string, code, table []string) {
	t.Helper()
	count := map[string]int{}
	for _, row := range code {
		count[row]++
	}
	for _, row := range table {
		count[row]--
	}
	for _, row := range slices.Sorted(maps.Keys(count)) {
		for range count[row] {
			t.Errorf("%s, %s, lacks\n%s", document, heading, row)
		}
		for range -count[row] {
			t.Errorf("%s, %s, has what is not in the code\n%s", document, heading, row)
		}
	}
	if len(code) == 0 {
		t.Errorf("%s: nothing was found for %s", document, heading)
	}
}

// libraryDirs has the folders of the packages that programs import.
var libraryDirs = []string{"frame", "flow", "stream", "conn", "server", "client", "tunnel", "capture", "internal"}

// librarySources are the Go files of the packages that programs import, without tests and without
// the packages of internal that are there for tests.
func librarySources(t *testing.T) (files []string) {
	t.Helper()
	for _, dir := range libraryDirs {
		for _, file := range goSources(t, dir, false) {
			switch pkg, _, _ := strings.Cut(strings.TrimPrefix(file, "internal/"), "/"); pkg {
			case "memconn", "h2test", "selfsigned":
			default:
				files = append(files, file)
			}
		}
	}
	return files
}

func parseGo(t *testing.T, file string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, mode|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// importsOf returns what each package imports, by its folder, without the standard library. A
// package of the module is named by its folder, too. Test files and the root do not count.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	const module = "github.com/sluice-go/sluice/"
	imports := map[string][]string{}
	for _, dir := range append(slices.Clone(libraryDirs), "cmd") {
		for _, file := range goSources(t, dir, false) {
			pkg := filepath.ToSlash(filepath.Dir(file))
			list := imports[pkg]
			for _, spec := range parseGo(t, file, parser.ImportsOnly).Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				root, _, _ := strings.Cut(path, "/")
				if strings.Contains(root, ".") {
					list = append(list, strings.TrimPrefix(path, module))
				}
			}
			slices.Sort(list)
			imports[pkg] = slices.Compact(list)
		}
	}
	return imports
}

// variablesOf names the variables and fields of a file that are of a type of package sync:
// Type.field, the name of a variable of the package, or function.variable. A struct that embeds one
// is named itself.
func variablesOf(f *ast.File, types ...string) (names []string) {
	variable := func(prefix string, s *ast.ValueSpec) {
		for i, name := range s.Names {
			typ := s.Type
			if i < len(s.Values) && typ == nil {
				if lit, ok := s.Values[i].(*ast.CompositeLit); ok {
					typ = lit.Type
				}
			}
			names = append(names, namesIn(prefix+name.Name, typ, types)...)
		}
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, namesIn(s.Name.Name, s.Type, types)...)
				case *ast.ValueSpec:
					variable("", s)
				}
			}
		case *ast.FuncDecl:
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.ValueSpec); ok {
					variable(funcName(d)+".", s)
				}
				return true
			})
		}
	}
	return names
}

// namesIn names what a variable of the given name and type holds of the types of package sync.
func namesIn(name string, typ ast.Expr, types []string) (names []string) {
	switch x := typ.(type) {
	case *ast.SelectorExpr:
		if pkg, ok := x.X.(*ast.Ident); ok && pkg.Name == "sync" && slices.Contains(types, x.Sel.Name) {
			names = append(names, name)
		}
	case *ast.ArrayType:
		return namesIn(name, x.Elt, types)
	case *ast.StructType:
		for _, field := range x.Fields.List {
			if len(field.Names) == 0 {
				names = append(names, namesIn(name, field.Type, types)...)
			}
			for _, id := range field.Names {
				names = append(names, namesIn(name+"."+id.Name, field.Type, types)...)
			}
		}
	}
	return names
}

// goStatementsOf names the functions of a file that have go statements, each as often as it has
// some.
func goStatementsOf(f *ast.File) (names []string) {
	for _, decl := range f.Decls {
		name := "init" // of a variable
		if d, ok := decl.(*ast.FuncDecl); ok {
			name = funcName(d)
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				names = append(names, name)
			}
			return true
		})
	}
	return names
}

// funcName is Type.method or function.
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	id, _ := typ.(*ast.Ident)
	return cmp.Or(id, ast.NewIdent("?")).Name + "." + d.Name.Name
}
