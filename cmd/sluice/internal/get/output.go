package get

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// outputs returns a file name for each request; nil is standard output.
func (o *Options) outputs() ([]string, error) {
	if o.Output == "" {
		return nil, nil
	}
	folder := strings.HasSuffix(o.Output, string(filepath.Separator))
	info, err := os.Stat(o.Output)
	if err == nil && info.IsDir() {
		folder = true
	}
	if !folder {
		if o.requests() > 1 {
			return nil, fmt.Errorf("--output %s is one file for several requests: %s%c is a folder for them",
				o.Output, o.Output, filepath.Separator)
		}
		return []string{o.Output}, nil
	}
	if err := os.MkdirAll(o.Output, 0o777); err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	names := make([]string, 0, o.requests())
	for _, text := range o.URLs {
		for range o.Repeat {
			name := unique(fileName(text), taken)
			names = append(names, filepath.Join(o.Output, name))
		}
	}
	return names, nil
}

// fileName is the last part of a URL's path, as a name that stays in its folder.
func fileName(text string) string {
	name := "index.html"
	if u, err := url.Parse(text); err == nil {
		if base := path.Base(u.Path); base != "." && base != "/" && base != ".." && !strings.HasSuffix(u.Path, "/") {
			name = base
		}
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	return strings.TrimLeft(name, ".") // no hidden file
}

// unique returns the name, with a number where it is taken.
func unique(name string, taken map[string]bool) string {
	if name == "" {
		name = "index.html"
	}
	free := name
	for n := 1; taken[free] || taken[free+partial]; n++ {
		free = name + "." + strconv.Itoa(n)
	}
	taken[free], taken[free+partial] = true, true
	return free
}

// partial ends the name of a file that is not whole yet.
const partial = ".part"

// A download is a file that takes its name when it is whole.
type download struct {
	*os.File
	name string // "" for what is no file, such as /dev/null, and is written to as it is
}

func newDownload(name string) (*download, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &download{File: f}, err
	}
	f, err := os.Create(name + partial)
	return &download{f, name}, err
}

// finish closes the file, and gives it its name unless the download has failed.
func (d *download) finish(failed error) error {
	err := d.Close()
	switch {
	case d.name == "":
		return cmp.Or(failed, err)
	case failed == nil && err == nil:
		return os.Rename(d.File.Name(), d.name)
	}
	_ = os.Remove(d.File.Name()) // the error that is returned says why
	return cmp.Or(failed, err)
}
