package inspect

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fatih/color"
	"github.com/mattn/go-isatty"
)

// The modes of --color.
const (
	ColorAuto   = "auto"
	ColorAlways = "always"
	ColorNever  = "never"
)

// colored reports whether the output to w has colours: of mode "auto", where w is a terminal that
// is neither dumb nor told by NO_COLOR to have none (https://no-color.org).
func colored(mode string, w io.Writer, getenv func(string) string) (bool, error) {
	switch mode {
	case ColorAlways:
		return true, nil
	case ColorNever:
		return false, nil
	case ColorAuto, "":
		f, ok := w.(*os.File)
		return ok && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isatty.IsTerminal(f.Fd()), nil
	}
	return false, fmt.Errorf("--color %s: want auto, always or never", mode)
}

// A style is what is written before and after a text.
type style struct{ on, off string }

// A palette has the styles of the parts of the output.
type palette struct {
	dim, bold, client, server, typ, name, good, bad, warn, note style
}

// newPalette returns styles that do something or nothing.
func newPalette(on bool) palette {
	if !on {
		return palette{}
	}
	s := func(attributes ...color.Attribute) style {
		c := color.New(attributes...)
		c.EnableColor()
		before, after, _ := strings.Cut(c.Sprint("|"), "|")
		return style{before, after}
	}
	return palette{
		dim: s(color.Faint), bold: s(color.Bold), client: s(color.FgCyan), server: s(color.FgGreen),
		typ: s(color.Bold), name: s(color.FgBlue), good: s(color.FgGreen), bad: s(color.FgRed, color.Bold),
		warn: s(color.FgYellow), note: s(color.FgMagenta),
	}
}

// add appends text in a style.
func (s style) add(b []byte, text string) []byte {
	return append(append(append(b, s.on...), text...), s.off...)
}
