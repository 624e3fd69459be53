package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"strings"
	"sync"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's script, in their order. They share one function's scope.
var scripts = []string{
	"base.js", "model.js", "view.js", "waterfall.js", "bars.js", "windows.js", "filter.js", "frames.js", "panels.js",
	"tip.js", "input.js", "print.js", "live.js", "main.js",
}

// styles are the parts of the page's style.
var styles = []string{"page.css", "panels.css"}

// A template is the page around its data.
type template struct {
	// head ends in front of the data's elements; foot begins behind them.
	head, foot string
	// script and style are the hashes in the form of a Content-Security-Policy.
	script, style string
}

// parts is the template, which is the same for all pages.
var parts = sync.OnceValue(func() *template {
	style := join(styles)
	script := "(() => {\n'use strict';\n" + join(scripts) + "})();\n"
	t := &template{script: hashOf(script), style: hashOf(style)}
	page := strings.NewReplacer("{{style}}", style, "{{script}}", script, "{{policy}}", t.policy("'none'")).
		Replace(asset("page.html"))
	t.head, t.foot, _ = strings.Cut(page, "{{data}}")
	return t
})

// policy is the Content-Security-Policy of a page; connect is what its script may request.
func (t *template) policy(connect string) string {
	return "default-src 'none'; script-src " + t.script + "; style-src " + t.style + "; img-src data:; " +
		"connect-src " + connect + "; base-uri 'none'; form-action 'none'"
}

// hashOf is the source expression that allows an inline element with the content s.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func join(names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(asset(n))
	}
	return b.String()
}

// asset is an embedded file.
func asset(name string) string {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("BUG: page: " + err.Error())
	}
	return string(b)
}
