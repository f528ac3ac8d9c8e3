package report

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/google/renameio/v2"
)

// Document puts the results into a Markdown file, each between its own pair of
// comments, <!-- begin NAME --> and <!-- end NAME -->. The rest is written by
// hand, and stays.
func Document(name string, run *Run, long *Long, held []Held) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var table, sum, kept bytes.Buffer
	if err := run.Table(&table); err != nil {
		return err
	}
	if err := long.Table(&sum); err != nil {
		return err
	}
	if err := HeldTable(&kept, held); err != nil {
		return err
	}
	for part, content := range map[string]string{
		"machine": run.machine(),
		"run":     fenced(table.String()),
		"held":    fenced(kept.String()),
		"long":    fenced(sum.String()),
	} {
		if text, err = replace(text, part, content); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return renameio.WriteFile(name, text, 0o644)
}

// replace puts content between the comments of part.
func replace(text []byte, part, content string) ([]byte, error) {
	begin, end := []byte("<!-- begin "+part+" -->\n"), []byte("<!-- end "+part+" -->\n")
	i, j := bytes.Index(text, begin), bytes.Index(text, end)
	if i < 0 || j < i {
		return nil, fmt.Errorf("no place for %q: want %q and below it %q", part, bytes.TrimSpace(begin), bytes.TrimSpace(end))
	}
	var b bytes.Buffer
	b.Write(text[:i+len(begin)])
	b.WriteString(content)
	b.Write(text[j:])
	return b.Bytes(), nil
}

// fenced is a block of Markdown that shows s as it is. Trailing blanks, which
// aligned columns end with, are cut.
func fenced(s string) string {
	var b strings.Builder
	b.WriteString("```text\n")
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

// machine says where and when the run was.
func (r *Run) machine() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, commit %s, seed %d, on %d cores of %s, %d GiB, %s, Linux %s:\n\n", r.Date.Format("2006-01-02"), r.Commit, r.Seed, m.Cores, m.CPU, m.Memory>>30, m.System, m.Kernel)
	for _, name := range []string{"systemd", "iptables", "nftables", "haproxy", "nginx", "redis", "node", "python", "go"} {
		if v := m.Versions[name]; v != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, v)
		}
	}
	return b.String()
}
