package config

import (
	"fmt"
	"strings"
)

// reader turns the values of a section into typed ones and records what is
// wrong with them.
type reader struct {
	*section
	expand func(string) (text string, known bool, f *fault)
	asks   bool // the unit gets its private ports from the daemon
}

// word is one item of a list.
type word struct {
	value
	raw   string // as written, without quotes
	text  string // specifiers expanded
	known bool   // false: it depends on the instance, in a template
	fault *fault // it cannot be read; text is raw
}

// scalar returns the value of key that is in force, or fallback if there is
// none, or none that is right.
func scalar[T any](r *reader, key string, fallback T, parse func(string) (T, *fault)) T {
	all := r.values[key]
	if len(all) == 0 {
		return fallback
	}
	v := all[len(all)-1]
	text, known, f := r.expand(v.text)
	if f != nil {
		r.failWord(word{value: v, raw: v.text, text: v.text}, f)
		return fallback
	}
	if !known {
		return fallback
	}
	parsed, f := parse(text)
	if f != nil {
		r.failWord(word{value: v, raw: v.text, text: text}, f)
		return fallback
	}
	return parsed
}

// list returns all words of key in force, those that cannot be read included:
// a later one may replace them. As in systemd a word is split off first and its
// specifiers expanded then, so an instance's name is one word whatever is in it.
func (r *reader) list(key string) []word {
	var all []word
	for _, v := range r.values[key] {
		split, f := words(v.text)
		if f != nil {
			all = append(all, word{value: v, raw: v.text, text: v.text, fault: f})
		}
		for _, raw := range split {
			if strings.HasPrefix(raw, "#") || strings.HasPrefix(raw, ";") {
				f := faultf(commentHint, "%q begins no comment here", raw[:1])
				all = append(all, word{value: v, raw: v.text, text: v.text, fault: f})
				break
			}
			text, known, f := r.expand(raw)
			if f != nil {
				if zoned(raw) {
					f = zoneFault()
				}
				text = raw
			}
			all = append(all, word{v, raw, text, known, f})
		}
	}
	return all
}

const commentHint = "a comment needs a line of its own"

// failWord records what is wrong with a word, or with a whole value.
func (r *reader) failWord(w word, f *fault) {
	message := fmt.Sprintf("%s=%s: %s", w.key, show(w.raw), f.message)
	if w.text != w.raw {
		message = fmt.Sprintf("%s=%s (%s): %s", w.key, show(w.raw), quote(w.text), f.message)
	}
	hint := f.hint
	if strings.Contains(w.value.text, " #") || strings.Contains(w.value.text, " ;") {
		hint = commentHint
	} else if strings.ContainsAny(w.raw, `"'`) {
		hint = "write it without quotes"
	}
	r.fail(w.at, &fault{message, hint})
}

// parseBool reads what systemd takes for a boolean.
func parseBool(s string) (bool, *fault) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, faultf("expected yes or no", "not a boolean")
}
