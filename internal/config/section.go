package config

import (
	"fmt"
	"slices"
	"strings"
)

// schema describes one section: its name and the keys it may have.
type schema struct {
	name   string
	file   string   // where it stands, for hints
	scalar []string // the last value counts
	list   []string // values add up
	// alone: the file holds nothing but this section, so that anything else
	// in it is a fault too. Otherwise it is systemd's to judge.
	alone bool
}

func (s *schema) keys() []string {
	all := slices.Concat(s.scalar, s.list)
	slices.Sort(all)
	return all
}

func (s *schema) has(key string) bool {
	return slices.Contains(s.scalar, key) || slices.Contains(s.list, key)
}

func schemas() []*schema { return []*schema{instanceSchema, daemonSchema} }

// hintForKey returns where a key belongs that s does not have, or what was
// probably meant.
func hintForKey(key string, s *schema) string {
	for _, other := range schemas() {
		if other.has(key) {
			return fmt.Sprintf("it belongs in [%s] of %s", other.name, other.file)
		}
	}
	return suggest(key, s.keys())
}

// value is the right side of an assignment, as written.
type value struct {
	at   Pos
	key  string
	text string
}

// section is what the files say in one section, before any value is parsed.
type section struct {
	*schema
	header Pos // the first one; the zero Pos if no file has it
	values map[string][]value
	errs   Errors
}

// readSection gathers a section from files: the main one, then its drop-ins
// as they apply. It may come several times, in one file or in many; an empty
// value resets what came before it.
func readSection(s *schema, files []File) *section {
	sec := &section{schema: s, values: make(map[string][]value)}
	for _, f := range files {
		inside, headed := false, false
		for st := range statements(f.Data) {
			at := Pos{File: f.Path, Line: st.line}
			switch {
			case strings.HasPrefix(st.text, "["):
				inside, headed = sec.open(at, st, inside), true
			case inside:
				sec.assign(at, st)
			case s.alone && !headed:
				sec.stray(at, st)
			}
		}
	}
	return sec
}

// open reads a header and reports whether it is the section's own. Until here
// the reader was inside the section or not.
func (sec *section) open(at Pos, st statement, inside bool) bool {
	title, rest, closed := strings.Cut(st.text[1:], "]")
	whole := closed && rest == "" && st.fault == nil
	switch {
	case whole && title == sec.name:
		if sec.header.Line == 0 {
			sec.header = at
		}
		return true
	case title == sec.name:
		sec.failOutside(at, fmt.Sprintf("write [%s] on a line of its own", sec.name), "malformed section header %s", quote(st.text))
	case resembles(title, sec.name):
		sec.failOutside(at, fmt.Sprintf(`did you mean "[%s]"?`, sec.name), "unknown section %s", quote(st.text))
	case whole && slices.ContainsFunc(schemas(), func(s *schema) bool { return s.name == title }):
		sec.failOutside(at, fmt.Sprintf("expected [%s] here", sec.name), "misplaced section %s", quote(st.text))
	case !whole && (inside || sec.alone):
		sec.failOutside(at, `a header is a name in brackets, "[Name]", on a line of its own`, "malformed section header %s", quote(st.text))
	case sec.alone && !strings.HasPrefix(title, "X-"):
		sec.failOutside(at, fmt.Sprintf("expected [%s]", sec.name), "unknown section %s", quote(st.text))
	}
	return false
}

// resembles reports whether title is name but for blanks, letter case and two
// letters. Other sections that begin with X- are none of our business.
func resembles(title, name string) bool {
	title = strings.Join(strings.Fields(title), "")
	return distance(strings.ToLower(title), strings.ToLower(name)) <= 2
}

// stray reads a line above any header.
func (sec *section) stray(at Pos, st statement) {
	if st.fault != nil {
		sec.failOutside(at, st.fault.hint, "%s", st.fault.message)
		return
	}
	sec.failOutside(at, fmt.Sprintf("put [%s] above it", sec.name), "%s stands in no section", quote(st.text))
}

// assign reads a line inside the section.
func (sec *section) assign(at Pos, st statement) {
	if st.fault != nil {
		sec.fail(at, st.fault)
		return
	}
	key, text, ok := strings.Cut(st.text, "=")
	key, text = strings.TrimRight(key, whitespace), strings.TrimLeft(text, whitespace)
	switch {
	case !ok:
		sec.fail(at, faultf(`write "Key=value", and comments behind a "#" on lines of their own`, `no "=" in %s`, quote(st.text)))
	case key == "":
		sec.fail(at, faultf("expected "+oneOf(sec.keys()), `no key before the "=" in %s`, quote(st.text)))
	case strings.HasPrefix(key, "X-"):
		// systemd leaves such keys to others, in every section.
	case !sec.has(key):
		sec.fail(at, faultf(hintForKey(key, sec.schema), "unknown key %s", quote(key)))
	case text == "":
		delete(sec.values, key)
	case slices.Contains(sec.list, key):
		sec.values[key] = append(sec.values[key], value{at, key, text})
	default:
		sec.values[key] = []value{{at, key, text}}
	}
}

// fail records what is wrong with a line of the section.
func (sec *section) fail(at Pos, f *fault) {
	sec.errs = append(sec.errs, &Error{File: at.File, Line: at.Line, Section: sec.name, Message: f.message, Hint: f.hint})
}

// failOutside records what is wrong with a header, which stands in no section.
func (sec *section) failOutside(at Pos, hint, format string, args ...any) {
	sec.errs = append(sec.errs, &Error{File: at.File, Line: at.Line, Message: fmt.Sprintf(format, args...), Hint: hint})
}
