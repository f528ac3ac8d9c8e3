package iptables

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// lockFile stands in for /run/xtables.lock, which every network namespace of
// the machine shares.
var lockFile string

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		os.Exit(orphanMain())
	}
	dir, err := os.MkdirTemp("", "iptables-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lockFile = filepath.Join(dir, "xtables.lock")
	os.Setenv("XTABLES_LOCKFILE", lockFile)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var variants = []Variant{NFT, Legacy}

// eachVariant runs a test once a variant, side by side, each in a network
// namespace of its own.
func eachVariant(t *testing.T, test func(t *testing.T, v Variant)) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			newNetns(t)
			test(t, v)
		})
	}
}

// eachWay runs a test once a variant, as eachVariant does, and once more with each
// Apply of mustApply and apply anticipated.
func eachWay(t *testing.T, test func(t *testing.T, v Variant)) {
	eachVariant(t, test)
	t.Run(anticipated, func(t *testing.T) { eachVariant(t, test) })
}

const anticipated = "anticipated"

// newNetns moves the calling goroutine, and what it executes, into a new
// network namespace. Both end with the test.
func newNetns(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace and writes rules into it")
	}
	// Never unlocked: the thread ends with the goroutine.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	command(t, "ip", "link", "set", "lo", "up")
}

// command runs a command in the namespace and returns what it printed.
func command(t testing.TB, argv ...string) string {
	t.Helper()
	return commandInput(t, "", argv...)
}

func commandInput(t testing.TB, stdin string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, stderr.String())
	}
	return stdout.String()
}

// iptables returns the name of the command for a family.
func (v Variant) command(f nat.Family) string {
	if f == nat.IPv6 {
		return "ip6tables-" + v.String()
	}
	return "iptables-" + v.String()
}

// ipt runs an iptables command, given as one string of words.
func ipt(t testing.TB, v Variant, f nat.Family, words string) string {
	t.Helper()
	return command(t, append([]string{v.command(f), "-w"}, strings.Fields(words)...)...)
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func newBackend(t testing.TB, v Variant) *Backend {
	t.Helper()
	b, err := New(t.Context(), Options{Log: textLog(t.Output()), Variant: v})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustApply(t testing.TB, b *Backend, redirects ...nat.Redirect) nat.Change {
	t.Helper()
	change, err := apply(testContext(t), t, b, nat.Rules{Redirects: redirects})
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return change
}

// apply is Apply, anticipated if the test is run so.
func apply(ctx context.Context, t testing.TB, b *Backend, want nat.Rules) (nat.Change, error) {
	if strings.Contains(t.Name(), "/"+anticipated+"/") {
		b.Anticipate(nat.DualStack)
	}
	return b.Apply(ctx, want)
}

// saved returns what iptables-save shows of table nat, without its comments,
// counters and empty built-in chains: those of ours, or those of others.
func saved(t testing.TB, v Variant, f nat.Family, ours bool) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(command(t, v.command(f)+"-save", "-t", "nat")) {
		if (line[0] == '-' || line[0] == ':' && strings.Contains(line, " - ")) && strings.Contains(line, chainPrefix) == ours {
			b.WriteString(line)
		}
	}
	return b.String()
}

const (
	v1 = "11111111111111111111111111111111"
	v2 = "22222222222222222222222222222222"
)

func target(addr string, public, private uint16, f nat.Family) nat.Target {
	e := nat.Endpoint{Port: public}
	if addr != "" {
		e.Addr = netip.MustParseAddr(addr)
	}
	return nat.Target{Endpoint: e, Port: private, Families: f}
}

// web is the service that most tests switch.
func web(activation string, private uint16) nat.Redirect {
	return nat.Redirect{Service: "web", Activation: activation, Scope: nat.Everyone,
		Targets: []nat.Target{target("", 443, private, nat.DualStack)}}
}
