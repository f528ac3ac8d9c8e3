package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sessionEnv is the script to run, in a test process that TestSessions has
// started on a host.
const sessionEnv = "SWITCHEROO_TEST_SESSION"

// TestSessions are sessions of a shell, one a file, each on a host of its own.
func TestSessions(t *testing.T) {
	if script := os.Getenv(sessionEnv); script != "" {
		testscript.Run(t, testscript.Params{
			Files:               []string{script},
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			Cmds:                commands(),
		})
		return
	}
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) < 10 {
		t.Fatalf("%d sessions, %v", len(scripts), err)
	}
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			out, err := h.Cmd(ctx, "env", sessionEnv+"=/opt/test/script/"+filepath.Base(script), "LANG=C.UTF-8", "TZ=UTC",
				"PATH=/usr/sbin:/usr/bin:/sbin:/bin", inside, "-test.run=^TestSessions$", "-test.timeout=3m", "-test.v").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
