package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManPages: man formats each page without a complaint, on a plain terminal
// and on a wide one.
func TestManPages(t *testing.T) {
	pages, err := filepath.Glob(root + "/docs/man/*")
	if err != nil || len(pages) < 4 {
		t.Fatalf("pages: %v, %v", pages, err)
	}
	for _, page := range pages {
		for _, width := range []string{"80", "200"} {
			var complaints strings.Builder
			cmd := exec.CommandContext(t.Context(), "man", "--warnings", "--local-file", page)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH="+width, "MANPAGER=cat", "MANROFFOPT=")
			cmd.Stderr = &complaints
			text, err := cmd.Output()
			if err != nil || complaints.Len() > 0 {
				t.Errorf("man -l %s, %s wide: %v\n%s", page, width, err, complaints.String())
			}
			if !strings.Contains(string(text), "NAME") {
				t.Errorf("man -l %s shows no page:\n%s", page, text)
			}
		}
	}
}
