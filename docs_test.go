package sluice_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program in README.md is one that compiles.
func TestREADMEProgramCompiles(t *testing.T) {
	programs := 0
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if !strings.HasPrefix(block[1], "package main") {
			continue // a few lines, not a program
		}
		programs++
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, block[1])
		}
	}
	if programs == 0 {
		t.Error("there is no program in README.md")
	}
}

// What the documents link to within the project is there.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "examples/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, more...)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, document := range documents {
		text := read(t, document)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := document
			if target != "" {
				path = filepath.Join(filepath.Dir(document), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", document, m[1], err)
				continue
			}
			if fragment != "" && !headings(read(t, path))[fragment] {
				t.Errorf("%s links to %s, which has no such heading", document, m[1])
			}
		}
	}
}

// What docs/FEATURES.md claims is proved by a test: each link to one leads to a file that has it,
// and each Y or P of ours has such a link.
func TestFeaturesAreProved(t *testing.T) {
	const document = "docs/FEATURES.md"
	link := regexp.MustCompile(`\[((?:Test|Fuzz|Example)\w*)\]\(([^)]*)\)`)
	proofs := 0
	for i, line := range strings.Split(read(t, document), "\n") {
		links := link.FindAllStringSubmatch(line, -1)
		for _, m := range links {
			file := filepath.Join(filepath.Dir(document), m[2])
			if !strings.HasSuffix(file, "_test.go") || !strings.Contains(read(t, file), "\nfunc "+m[1]+"(") {
				t.Errorf("%s:%d: %s has no %s", document, i+1, file, m[1])
			}
		}
		proofs += len(links)
		// | feature | ours | those of the peers |
		if cells := strings.Split(line, " | "); len(cells) > 2 && regexp.MustCompile(`^[YP]\b`).MatchString(cells[1]) &&
			!link.MatchString(cells[1]) {
			t.Errorf("%s:%d: nothing proves %s", document, i+1, cells[0])
		}
	}
	if proofs == 0 {
		t.Error("no tests are linked to")
	}
}

// Each mechanism in docs/architecture/mechanisms.md says what it earns and needs, and names
// functions that check that at run time and tests of the plain way, all of which are there.
func TestMechanisms(t *testing.T) {
	const document = "docs/architecture/mechanisms.md"
	paragraphs := strings.Split(read(t, document), "\n- ")[1:]
	if len(paragraphs) < 10 {
		t.Fatalf("%d mechanisms", len(paragraphs))
	}
	form := regexp.MustCompile(`^\*\*([^*]+)\.\*\* Earns: .+ Needs: .+ Check: (.+) Plain way: .+ Tests: (.+)$`)
	link := regexp.MustCompile(`\[(\w+)\]\(([^)]*\.go)\)`)
	for _, p := range paragraphs {
		p = strings.Join(strings.Fields(p), " ")
		m := form.FindStringSubmatch(p)
		if m == nil {
			t.Errorf("a paragraph is not of the form of the others: %.80s", p)
			continue
		}
		for i, part := range m[2:] {
			names := link.FindAllStringSubmatch(part, -1)
			if len(names) == 0 {
				t.Errorf("%s: it names no function in its %s", m[1], []string{"check", "tests"}[i])
			}
			for _, name := range names {
				file := filepath.Join(filepath.Dir(document), name[2])
				fits := strings.HasSuffix(file, "_test.go") == (i == 1) && strings.HasPrefix(name[1], "Test") == (i == 1)
				declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name[1] + `\(`)
				if !fits || !declared.MatchString(read(t, file)) {
					t.Errorf("%s: %s has no %s", m[1], file, name[1])
				}
			}
		}
	}
}

// The pages name files, packages, functions and fields that are there. A name is what stands
// between backticks and is the path of a file, the path of a package, or has a dot or a capital
// within it.
func TestNamesInPages(t *testing.T) {
	words := map[string]bool{}
	word := regexp.MustCompile(`\w+`)
	for _, file := range goSources(t, ".", true) {
		for _, w := range word.FindAllString(read(t, file), -1) {
			words[w] = true
		}
	}
	pages, err := filepath.Glob("docs/architecture/*.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`\n]+)`")
	file := regexp.MustCompile(`^[\w/*.-]+\.go$`)
	folder := regexp.MustCompile(`^(internal|conn|server|client|stream|cmd|benchmarks|conformance)(/\w+)+$`)
	name := regexp.MustCompile(`^\*?\w+(\.\w+)+$|^\w*[a-z]\w*[A-Z]\w*$`)
	for _, page := range append(pages, "docs/ARCHITECTURE.md", "README.md", "CONTRIBUTING.md") {
		for _, m := range code.FindAllStringSubmatch(read(t, page), -1) {
			switch {
			case file.MatchString(m[1]):
				if found, err := filepath.Glob(m[1]); err != nil || len(found) == 0 {
					t.Errorf("%s names the file %s, which is not there", page, m[1])
				}
			case folder.MatchString(m[1]):
				if found, err := filepath.Glob(m[1] + "/*.go"); err != nil || len(found) == 0 {
					t.Errorf("%s names the package %s, which is not there", page, m[1])
				}
			case name.MatchString(m[1]):
				if !words[m[1][strings.LastIndex(m[1], ".")+1:]] {
					t.Errorf("%s names %s, which no Go file has", page, m[1])
				}
			}
		}
	}
}

// headings are the names under which the headings of a document can be linked
// to.
func headings(text string) map[string]bool {
	names := make(map[string]bool)
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.+)$`).FindAllStringSubmatch(text, -1) {
		name := drop.ReplaceAllString(strings.ToLower(m[1]), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// goSources are the Go files below dir, those of tests where tests is set.
func goSources(t *testing.T, dir string, tests bool) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && (tests || !strings.HasSuffix(path, "_test.go")) {
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
