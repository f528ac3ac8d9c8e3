package pages

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// shown are the blocks for the eye that are commands all the same, by page and
// first line, and why the page's reader does not do them.
var shown = map[string]string{
	"docs/ci-cd.md: scp -r build/ deploy@server.example.com:/opt/hello/v2":        "what the page comes to; it is done below, when there are a user and a key",
	"docs/getting-started.md: git clone https://github.com/switcheroo/switcheroo": "it needs a network; test/deb builds the package and has apt install it",
}

// programs are what a line of commands begins with.
var programs = map[string]bool{}

func init() {
	for name := range strings.FieldsSeq(`adduser apt apt-get bash cat cd chmod chown conntrack cp curl dpkg echo export
		git go install ip iptables iptables-save ip6tables journalctl kill make mkdir mv nft node npm pip pip3 ps
		python python3 redis-cli rm rsync scp sed setpriv sh ss ssh sudo switcheroo switcherood sysctl systemctl
		systemd-analyze tee test useradd usermod`) {
		programs[name] = true
	}
}

// forTheEye is an error if a block that is for the eye only has commands, unless
// it is one of those that are shown.
func forTheEye(name, text string) error {
	first, _, _ := strings.Cut(text, "\n")
	if shown[name+": "+first] != "" {
		return nil
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "$ "), "# "))
		if len(words) > 0 && programs[words[0]] {
			return fmt.Errorf("a command that no test runs: %s", strings.TrimSpace(line))
		}
	}
	return nil
}

// TestShown: what is excused is there.
func TestShown(t *testing.T) {
	for block, why := range shown {
		page, first, _ := strings.Cut(block, ": ")
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "```text\n"+first+"\n") {
			t.Errorf("%s shows no block that begins with %q", page, first)
		}
		if why == "" {
			t.Errorf("%s: no reason is given", block)
		}
	}
}
