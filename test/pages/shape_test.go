package pages

import (
	"regexp"
	"strings"
)

var (
	// figures differ from one time to the next. "v2" is none.
	figures = regexp.MustCompile(`\b\d[\d.:]*(?:ms|us|min|s|h)?\b(?: \d+s\b)?`)
	blanks  = regexp.MustCompile(`\s+`)
	alone   = regexp.MustCompile(`^\d+$`)
)

// alike reports whether output has the shape that a page shows. See the
// package's own page.
func alike(shown, output string) bool {
	return lines(split(shown), split(output))
}

func split(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(blanks.ReplaceAllString(line, " ")); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func lines(shown, output []string) bool {
	switch {
	case len(shown) == 0:
		return len(output) == 0
	case shown[0] == "...":
		for i := range len(output) + 1 {
			if lines(shown[1:], output[i:]) {
				return true
			}
		}
		return false
	}
	return len(output) > 0 && pattern(shown[0]).MatchString(output[0]) && lines(shown[1:], output[1:])
}

// pattern turns a line into what matches those of its shape.
func pattern(line string) *regexp.Regexp {
	if alone.MatchString(line) {
		return regexp.MustCompile("^" + line + "$")
	}
	var b strings.Builder
	b.WriteString("^")
	for i, part := range strings.Split(line, "...") {
		if i > 0 {
			b.WriteString(".*")
		}
		end := 0
		for _, m := range figures.FindAllStringIndex(part, -1) {
			b.WriteString(regexp.QuoteMeta(part[end:m[0]]) + figures.String())
			end = m[1]
		}
		b.WriteString(regexp.QuoteMeta(part[end:]))
	}
	return regexp.MustCompile(b.String() + "$")
}
