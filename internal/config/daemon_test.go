package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var daemonDefaults = Daemon{Backend: BackendIptables, PrivatePorts: PortRange{61000, 64999}, LogLevel: slog.LevelInfo}

func TestParseDaemon(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []string
		want  Daemon
	}{
		{"no files", nil, daemonDefaults},
		{"empty", []string{"", "# nothing\n"}, daemonDefaults},
		{"empty section", []string{"[Switcherood]\n"}, daemonDefaults},
		{"every key", []string{"[Switcherood]\nBackend=iptables-nft\nPrivatePorts=10000 - 10999\nLogLevel=debug\nMetricsListen=127.0.0.1:9100\n"}, Daemon{
			BackendIptablesNFT, PortRange{10000, 10999}, slog.LevelDebug, "127.0.0.1:9100",
		}},
		{"the other values", []string{"[Switcherood]\nBackend=iptables-legacy\nPrivatePorts=1024-1024\nLogLevel=warn\nMetricsListen=[::]:9100\n"}, Daemon{
			BackendIptablesLegacy, PortRange{1024, 1024}, slog.LevelWarn, "[::]:9100",
		}},
		{"drop-ins override", []string{"[Switcherood]\nBackend=iptables-nft\nLogLevel=error\n", "[Switcherood]\nLogLevel=warning\n", "[Switcherood]\nBackend=\n"}, Daemon{
			BackendIptables, PortRange{61000, 64999}, slog.LevelWarn, "",
		}},
		{"a name that needs no look-up", []string{"[Switcherood]\nMetricsListen=localhost:9100\n"}, Daemon{
			BackendIptables, PortRange{61000, 64999}, slog.LevelInfo, "localhost:9100",
		}},
		{"sections and keys of others", []string{"[X-Other]\nfoo=1\nbar\n[Switcherood]\nX-Note=1\nLogLevel=error"}, Daemon{
			BackendIptables, PortRange{61000, 64999}, slog.LevelError, "",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var files []File
			for _, text := range tc.files {
				files = append(files, File{"f", []byte(text)})
			}
			got, err := ParseDaemon(files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDaemonErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no section", "LogLevel=debug\nfoo\n", `f:1: "LogLevel=debug" stands in no section (put [Switcherood] above it)
f:2: "foo" stands in no section (put [Switcherood] above it)`},
		{"no section, not UTF-8", "a=\xff\n", `f:1: the line is not valid UTF-8 (save the file as UTF-8)`},
		{"misspelt section", "[switcherood]\nLogLevel=x\n", `f:1: unknown section "[switcherood]" (did you mean "[Switcherood]"?)`},
		{"a unit's section", "[X-Switcheroo]\nLogLevel=x\n", `f:1: misplaced section "[X-Switcheroo]" (expected [Switcherood] here)`},
		{"another section", "[Service]\n", `f:1: unknown section "[Service]" (expected [Switcherood])`},
		{"malformed section", "[Service\n", `f:1: malformed section header "[Service" (a header is a name in brackets, "[Name]", on a line of its own)`},
		{"unknown key", "[Switcherood]\nLoglevel=debug\n", `f:2: [Switcherood] unknown key "Loglevel" (did you mean "LogLevel"?)`},
		{"a unit's key", "[Switcherood]\nListen=80\n", `f:2: [Switcherood] unknown key "Listen" (it belongs in [X-Switcheroo] of a unit)`},
		{"backend", "[Switcherood]\nBackend=iptable\n", `f:2: [Switcherood] Backend=iptable: unknown backend (did you mean "iptables"?)`},
		{"backend unlike any", "[Switcherood]\nBackend=ufw\n", `f:2: [Switcherood] Backend=ufw: unknown backend (expected iptables, iptables-nft or iptables-legacy)`},
		{"backend to come", "[Switcherood]\nBackend=nftables\n", `f:2: [Switcherood] Backend=nftables: not available yet (use iptables, iptables-nft or iptables-legacy)`},
		{"one port", "[Switcherood]\nPrivatePorts=61000\n", `f:2: [Switcherood] PrivatePorts=61000: not a range of ports (expected FIRST-LAST, for example 61000-64999)`},
		{"no ports", "[Switcherood]\nPrivatePorts=a-b\n", `f:2: [Switcherood] PrivatePorts=a-b: "a" is not a port (expected FIRST-LAST, for example 61000-64999)`},
		{"too high", "[Switcherood]\nPrivatePorts=61000-70000\n", `f:2: [Switcherood] PrivatePorts=61000-70000: port 70000 is out of range (expected FIRST-LAST, for example 61000-64999)`},
		{"backwards", "[Switcherood]\nPrivatePorts=64999-61000\n", `f:2: [Switcherood] PrivatePorts=64999-61000: the first port is above the last (write 61000-64999)`},
		{"privileged", "[Switcherood]\nPrivatePorts=1000-2000\n", `f:2: [Switcherood] PrivatePorts=1000-2000: ports below 1024 are for privileged servers (expected FIRST-LAST, for example 61000-64999)`},
		{"level", "[Switcherood]\nLogLevel=Debug\n", `f:2: [Switcherood] LogLevel=Debug: unknown level (did you mean "debug"?)`},
		{"level unlike any", "[Switcherood]\nLogLevel=3\n", `f:2: [Switcherood] LogLevel=3: unknown level (expected debug, info, warning or error)`},
		{"metrics, port alone", "[Switcherood]\nMetricsListen=9100\n", `f:2: [Switcherood] MetricsListen=9100: not an address and a port (expected ADDRESS:PORT, for example 127.0.0.1:9100)`},
		{"metrics, no address", "[Switcherood]\nMetricsListen=:9100\n", `f:2: [Switcherood] MetricsListen=:9100: no address before the colon (write [::]:9100 for every address)`},
		{"metrics, name", "[Switcherood]\nMetricsListen=host:9100\n", `f:2: [Switcherood] MetricsListen=host:9100: "host" is not an address (write the address itself, names are not looked up)`},
		{"metrics, port 0", "[Switcherood]\nMetricsListen=127.0.0.1:0\n", `f:2: [Switcherood] MetricsListen=127.0.0.1:0: port 0 is out of range (a port is a number from 1 to 65535)`},
		{"no specifiers", "[Switcherood]\nLogLevel=%i\n", `f:2: [Switcherood] LogLevel=%i: unknown level (expected debug, info, warning or error)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseDaemon([]File{{"f", []byte(tc.text)}})
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.Split(tc.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(daemonDefaults, got); diff != "" {
				t.Errorf("what is wrong has no default (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDaemonKeepsWhatIsRight(t *testing.T) {
	got, err := ParseDaemon([]File{{"f", []byte("[Switcherood]\nBackend=x\nLogLevel=debug\nFoo=1\n")}})
	want := daemonDefaults
	want.LogLevel = slog.LevelDebug
	if diff := cmp.Diff(want, got); diff != "" || err == nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestParseLogLevel(t *testing.T) {
	if level, err := ParseLogLevel("warning"); err != nil || level != slog.LevelWarn {
		t.Errorf("warning: %v, %v", level, err)
	}
	const want = `level "loud": unknown level (expected debug, info, warning or error)`
	if _, err := ParseLogLevel("loud"); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDaemonFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "switcherood.conf")
	if files, err := DaemonFiles(path); err != nil || len(files) != 0 {
		t.Fatalf("of nothing: %v, %v", files, err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := path + ".d"
	if err := os.MkdirAll(filepath.Join(d, "50-dir.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("switcherood.conf", "main")
	for _, name := range []string{"20-b.conf", "10-a.conf", "9.conf", ".hidden.conf", "30.conf.bak", "README"} {
		write("switcherood.conf.d/"+name, name)
	}
	if err := os.Symlink("/dev/null", filepath.Join(d, "15-masked.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(d, "16-gone.conf")); err != nil {
		t.Fatal(err)
	}
	want := []File{
		{path, []byte("main")},
		{d + "/10-a.conf", []byte("10-a.conf")},
		{d + "/15-masked.conf", nil},
		{d + "/20-b.conf", []byte("20-b.conf")},
		{d + "/9.conf", []byte("9.conf")},
	}
	got, err := DaemonFiles(path)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("error %v (-want +got):\n%s", err, diff)
	}

	// What cannot be read is told, hides nothing, and nobody waits for it.
	fifo := filepath.Join(d, "17-fifo.conf")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = DaemonFiles(path)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("beside a fifo (-want +got):\n%s", diff)
	}
	if err == nil || err.Error() != "read settings: "+fifo+" is not a regular file" {
		t.Errorf("error %v", err)
	}
}
