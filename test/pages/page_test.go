package pages

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// step is what a reader does at one place of a page.
type step struct {
	at        string // file:line
	kind      kind
	path      string // of a file
	text      string // of a file, or commands
	console   []exchange
	elsewhere bool
	meanwhile bool
	status    int
	copied    string // where on the server what it prints is put
	part      int    // 0: of all parts
}

type kind int

const (
	commands kind = iota
	console
	file
)

// exchange is a command and what it prints.
type exchange struct {
	at              string
	command, output string
}

var (
	fence     = regexp.MustCompile("^```(\\w*)$")
	directive = regexp.MustCompile(`^<!-- test: (.+) -->$`)
	named     = regexp.MustCompile(`^(?:#|//|;|--|"""|/\*|<!--) ?(/\S+)(?: -->| \*/|""")?$`)
)

// parse returns the steps of a page. The error names what a reader would be
// shown and nobody would have tried.
func parse(name, text string) ([]step, error) {
	var steps []step
	var said string // the directive above
	part := 0
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		at := fmt.Sprintf("%s:%d", name, i+1)
		if m := directive.FindStringSubmatch(lines[i]); m != nil {
			if said = m[1]; said == "another server" {
				said = ""
				part++
			}
			continue
		}
		m := fence.FindStringSubmatch(lines[i])
		switch {
		case m == nil && strings.HasPrefix(lines[i], "```"):
			return nil, fmt.Errorf("%s: not the beginning of a block: %s", at, lines[i])
		case m == nil && strings.HasPrefix(lines[i], "    ") && (i == 0 || lines[i-1] == ""):
			return nil, fmt.Errorf("%s: code that no test runs: %s", at, lines[i])
		case m == nil && said != "":
			return nil, fmt.Errorf("%s: a block is missing below the directive", at)
		case m == nil:
			continue
		}
		begin := i + 1
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s: the block does not end", at)
		}
		s := step{at: at, part: part, text: strings.Join(lines[begin:i], "\n") + "\n"}
		if err := s.read(m[1], name, begin); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		if err := s.heed(said); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		said = ""
		if s.text != "" {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// read takes in a block of a language; s.text is empty for one that is for the
// eye only.
func (s *step) read(language, name string, begin int) error {
	switch language {
	case "", "text":
		err := forTheEye(name, s.text)
		s.text = ""
		return err
	case "sh":
		return nil
	case "console":
		s.kind = console
		for i, line := range strings.Split(strings.TrimSuffix(s.text, "\n"), "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				s.console = append(s.console, exchange{at: fmt.Sprintf("%s:%d", name, begin+i+1), command: command})
			} else if n := len(s.console); n > 0 {
				s.console[n-1].output += line + "\n"
			} else {
				return fmt.Errorf("output before the first command")
			}
		}
		return nil
	}
	first, rest, _ := strings.Cut(s.text, "\n")
	if strings.HasPrefix(first, "#!") {
		first, _, _ = strings.Cut(rest, "\n")
	}
	m := named.FindStringSubmatch(first)
	if m == nil {
		return fmt.Errorf("the first line of the block names no file: %s", first)
	}
	s.kind, s.path = file, m[1]
	return nil
}

// heed takes in a directive.
func (s *step) heed(said string) error {
	words := strings.Fields(said)
	for len(words) > 0 {
		switch {
		case words[0] == "elsewhere":
			s.elsewhere = true
		case words[0] == "meanwhile" && s.kind == commands:
			s.meanwhile = true
		case words[0] == "copied" && s.kind == commands && len(words) > 1:
			s.copied = words[1]
			words = words[1:]
		case words[0] == "fails" && s.kind != file && len(words) > 1:
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return fmt.Errorf("no status: %s", words[1])
			}
			s.status = n
			words = words[1:]
		default:
			return fmt.Errorf("unknown directive: %s", said)
		}
		words = words[1:]
	}
	return nil
}

// read returns the steps of a page of docs/.
func read(page string) ([]step, error) {
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		return nil, err
	}
	return parse("docs/"+page, string(text))
}
