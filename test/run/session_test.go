package run

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/switcheroo/switcheroo/test/host"
)

// sessionsEnv is the folder of the scripts, in a test process that TestSessions
// has started where they may do what they like.
const sessionsEnv = "SWITCHEROO_TEST_SESSIONS"

// TestSessions are sessions of a shell, one a file. The server in them is
// test/server.
func TestSessions(t *testing.T) {
	if dir := os.Getenv(sessionsEnv); dir != "" {
		testscript.Run(t, testscript.Params{
			Dir:                 dir,
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			Cmds:                map[string]func(*testscript.TestScript, bool, []string){"status": status, "answers": answers},
		})
		return
	}
	t.Parallel()
	s := set(t)
	scripts, err := filepath.Abs("testdata/script")
	if err != nil {
		t.Fatal(err)
	}
	server := host.Build(t, "github.com/switcheroo/switcheroo/test/server")
	out, err := s.server.Run(t.Context(), "env", sessionsEnv+"="+scripts,
		"PATH="+filepath.Dir(s.switcheroo)+":"+filepath.Dir(server)+":/usr/sbin:/usr/bin:/sbin:/bin",
		executable(t), "-test.run=^TestSessions$", "-test.timeout=50s")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// status is "exec" of a program that ends with this exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER PROGRAM [ARGUMENT...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// answers waits until a version answers new connections to a port.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers PORT VERSION")
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(patience); ; {
		got, err := ask(client, args[0])
		if err == nil && got == args[1] {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("port %s: %q answers (%v)", args[0], got, err)
		}
		time.Sleep(tick)
	}
}

func ask(client *http.Client, port string) (string, error) {
	r, err := client.Get("http://127.0.0.1:" + port + "/version")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", r.Status)
	}
	return strings.TrimSpace(string(b)), err
}
