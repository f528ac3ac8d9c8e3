package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestStandalone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demo only says so; see TestNotRoot")
	}
	t.Parallel()
	cmd, dir := program(t, "--standalone", "--json", "--switcheroo="+host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo"))
	var story, out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	began := time.Now()
	if got := status(t, cmd.Run()); got != 0 {
		t.Fatalf("exit status %d, want 0\n%s%s", got, &story, &out)
	}
	t.Logf("took %v", time.Since(began).Round(time.Millisecond))
	rest := story.String()
	for _, want := range []string{
		`root@web1:~# switcheroo run -l 443 --standby 1s --notify -- \./v1 \{port\}\n`,
		`run v1 +process [0-9]+ has started \./v1 with private port 40400\n`,
		`run v1 +ready: new connections come here\n`,
		`-- \./v2 \{port\}\n`,
		`run v2 +ready: new connections come here,\s+not\s+to\s+process\s+[0-9]+\n`,
		`client +dials 192\.0\.2\.10:443 once more: v2 answers\n`,
		`run v2 +process [0-9]+ has no connection left\n`,
		`run v1 +\./v1 ended with status 0\n`,
		`-- \./v3 \{port\}\n`,
		`run v3 +error: \./v3: no READY=1 within 2s`,
		`client +dials 192\.0\.2\.10:443 once more: v2 answers\n`,
		`What the clients saw\n`,
		`\n  refused +0 +0 +0 +0\n`,
		`Nothing was lost: [0-9,]+ connections`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("nothing like %q in, or not in this order:\n%s\nof\n%s", want, rest, &story)
		}
		rest = rest[at[1]:]
	}
	for line := range strings.Lines(story.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if !r.OK || r.Connections < 100 || r.Requests < r.Connections {
		t.Errorf("the result is %+v", r)
	}
	left(t, cmd, dir)
}
