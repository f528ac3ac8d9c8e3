package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args           []string
		status         int
		stdout, stderr string // what they begin with
	}{
		"version":          {[]string{"--version"}, exitOK, "switcherood dev\n", ""},
		"help":             {[]string{"--help"}, exitOK, "Switcherood watches systemd", ""},
		"unknown option":   {[]string{"--cleanpu"}, exitUsage, "", "switcherood: error: unknown flag: --cleanpu\nswitcherood: hint: "},
		"metrics nowhere":  {[]string{"--metrics-listen=9599"}, exitUsage, "", "switcherood: error: --metrics-listen: \"9599\": not an address and a port (expected"},
		"unknown argument": {[]string{"start"}, exitUsage, "", "switcherood: error: unexpected argument \"start\": switcherood takes options only\nswitcherood: hint: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(context.Background(), tt.args, &stdout, &stderr); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			if !strings.HasPrefix(stdout.String(), tt.stdout) || tt.stdout == "" && stdout.Len() > 0 {
				t.Errorf("stdout %q, want %q...", stdout.String(), tt.stdout)
			}
			if !strings.HasPrefix(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stderr %q, want %q...", stderr.String(), tt.stderr)
			}
		})
	}
}

func TestLogLine(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:1")
	var out bytes.Buffer
	log := newLog(&out, slog.LevelInfo, nil)
	log.Debug("not shown")
	log.Info("switched", "service", "myapp", "reason", "it is ready")
	log.With("unit", "a.service").WithGroup("old").Warn("left", "connections", 3)
	log.Error("configuration error", "error", `a.service:3: unknown key "Prot"`)
	log.Error("rules not changed", "script", "*nat\nCOMMIT\n", "empty", "")
	want := "<6>switched: service=myapp reason=\"it is ready\"\n" +
		"<4>left: unit=a.service old.connections=3\n" +
		"<3>configuration error: error=`a.service:3: unknown key \"Prot\"`\n" +
		"<3>rules not changed: script=\"*nat\\nCOMMIT\\n\" empty=\"\"\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLogOutsideTheJournalHasTime(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	var out bytes.Buffer
	newLog(&out, slog.LevelInfo, nil).Info("ready")
	if got := out.String(); len(got) != len("15:04:05.000 ready\n") || got[2] != ':' {
		t.Errorf("got %q", got)
	}
}
