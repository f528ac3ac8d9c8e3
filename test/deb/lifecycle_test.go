package deb

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// The life of the package, with clients that lose nothing from the first
// deploy to the last: each step checks what came of it (debian/tests/step).
func TestLifeUnderLoad(t *testing.T) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := set(t, map[string]string{
				"/etc/systemd/system/myapp@.service": template,
				"/etc/switcheroo/switcherood.conf":   "[Switcherood]\nBackend=" + backend + "\n",
			})
			s.join()
			s.step("install", there(s.old))
			if got, want := s.do("switcheroo version"), "switcheroo "+s.version+", commit "+s.commit+"\n"; !strings.HasPrefix(got+"\n", want) {
				t.Errorf("switcheroo version says %q, not %q", got, want)
			}
			s.step("deploy", "myapp@v1")
			lostNothing := s.load()
			held := s.hold()
			s.step("deploy", "myapp@v2")
			// v1 still drains, because of the connection that is held.
			s.step("upgrade", there(s.later))
			if got, want := s.do("switcheroo version"), "switcheroo "+laterVersion+", commit "+s.commit+"\n"; !strings.HasPrefix(got+"\n", want) {
				t.Errorf("switcheroo version says %q, not %q", got, want)
			}
			held.says("v1")
			s.step("deploy", "myapp@v3")
			s.step("upgrade", there(s.old))
			held.says("v1")
			s.serves("v3")
			s.step("remove")
			s.awaitRequests(200)
			held.says("v1")
			s.step("install", there(s.later))
			s.step("deploy", "myapp@v4")
			held.says("v1")
			s.serves("v4")
			s.step("remove")
			s.awaitRequests(200)
			held.says("v1")
			lostNothing()

			// From here on clients are refused; nothing is left, and another
			// installation finds what runs.
			s.step("purge")
			s.refuses()
			if left := s.do("ls -A /etc/systemd/system/multi-user.target.wants /etc/systemd/system/sockets.target.wants 2>/dev/null | grep switcherood || true"); left != "" {
				t.Errorf("still enabled: %s", left)
			}
			s.step("install", there(s.old))
			s.step("deploy", "myapp@v5")
			s.serves("v5")
		})
	}
}

// A purge of what is installed and serves does both at once. Rules that a
// change of the backend left, and files in odd places, go as well.
func TestPurgeAtOnce(t *testing.T) {
	t.Parallel()
	s := deployed(t)
	// The same rules in the other kind of iptables: left by a change of Backend=
	// that nothing has mended yet.
	s.do(`for tool in iptables ip6tables; do $tool-nft-save -t nat | $tool-legacy-restore; done; iptables-legacy-save -t nat | grep SW-`)
	s.do("mkdir /etc/switcheroo && echo '[Switcherood]' >/etc/switcheroo/switcherood.conf")
	s.step("purge")
	s.refuses()
}

// A daemon that does not answer, a program that is gone, and no place to keep it
// are no reason to stay installed; and what goes on is told all the same.
func TestRemoveOfWhatIsBroken(t *testing.T) {
	t.Parallel()
	s := deployed(t)
	s.do("systemctl stop switcherood.socket switcherood.service")
	s.step("remove")
	s.serves("v1")
	s.step("install", there(s.old))
	s.do("mount -t tmpfs -o size=64k,mode=0755 none /var/lib/switcheroo")
	s.step("remove")
	if left := s.do("ls /var/lib/switcheroo"); strings.Contains(left, "switcherood") {
		t.Errorf("half of the program is kept: %s", left)
	}
	s.do("umount /var/lib/switcheroo")
	s.step("install", there(s.old))
	s.do("rm /usr/sbin/switcherood")
	s.step("remove")
	s.serves("v1")
	// As it says: once more, and then the rules are found.
	s.step("install", there(s.old))
	s.step("purge")
	s.refuses()
}

// iptables may go in the same run, and dpkg then has removed it before the rules
// can be. What removes them is kept, and said.
func TestPurgeWithIptables(t *testing.T) {
	t.Parallel()
	s := deployed(t)
	s.do("nft list tables | grep switcheroo")
	s.do(`{ dpkg --listfiles iptables; ls /etc/alternatives/ip*tables* /usr/sbin/ip*tables*; } |
		while read -r file; do [ -d "$file" ] || echo "$file"; done | tar -P -cf /root/iptables.tar -T -`)
	said := s.do("apt purge -y switcheroo iptables 2>&1; ! command -v iptables-nft; ! nft list tables | grep switcheroo")
	s.serves("v1")
	for _, want := range []string{"switcheroo: apt install iptables", "switcheroo: /var/lib/switcheroo/switcherood --cleanup"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	s.do("tar -P -xf /root/iptables.tar; /var/lib/switcheroo/switcherood --cleanup")
	s.refuses()
}

// Where a policy forbids to stop the daemon, a purge takes nothing from under it,
// and says what is left and how to end that.
func TestPurgeUnderAPolicy(t *testing.T) {
	t.Parallel()
	s := deployed(t)
	s.do(`printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d`)
	said := s.do("dpkg --purge switcheroo 2>&1; systemctl is-active switcherood.service; ls /run/switcheroo/control.sock; getent group switcheroo")
	s.serves("v1")
	end := "systemctl stop switcherood.socket switcherood.service"
	if !strings.Contains(said, "switcheroo: "+end) {
		t.Errorf("it does not say %q:\n%s", end, said)
	}
	s.do(end + "; /var/lib/switcheroo/switcherood --cleanup; rm -r /var/lib/switcheroo && groupdel switcheroo")
	s.refuses()
}

// The commands of docs/getting-started.md and README.md, which have apt do it.
func TestApt(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/myapp@.service": template})
	s.join()
	s.do("mkdir /root/here && cp " + there(s.old) + " /root/here")
	s.do("cd /root/here && apt install -y ./switcheroo_*.deb")
	if got := s.do("systemctl is-active switcherood; switcheroo list"); !strings.HasPrefix(got, "active\n") {
		t.Errorf("installed: %s", got)
	}
	s.step("deploy", "myapp@v1")
	s.step("upgrade", there(s.later))
	s.do("apt remove -y switcheroo")
	s.serves("v1")
	s.do("apt purge -y switcheroo")
	s.refuses()
	if left := s.do("iptables-save; getent group switcheroo || true; ls -d /var/lib/switcheroo /run/switcheroo /etc/switcheroo 2>/dev/null || true"); strings.Contains(strings.ToLower(left), "sw") {
		t.Errorf("left: %s", left)
	}
}

// A purge while a program with the library runs leaves what is the program's.
func TestPurgeBesideTheLibrary(t *testing.T) {
	t.Parallel()
	s := set(t, nil)
	s.join()
	s.step("install", there(s.old))
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	run := s.host.Cmd(ctx, "switcheroo", "run", "-l", "8080", "--port-only", "--", server, "-version=alone", "-listen=[::]:{port}", "-notify=false")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually("it serves", func() error {
		out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=5s", server4+":8080")
		if err != nil || strings.TrimSpace(out) != "alone" {
			return fmt.Errorf("%q, %v", out, err)
		}
		return nil
	})
	before := s.do("iptables-save -t nat; ls /run/switcheroo/*.lock")
	s.do("dpkg --purge switcheroo")
	if after := s.do("iptables-save -t nat; ls /run/switcheroo/*.lock"); lines(after, "SWL-", "lock") != lines(before, "SWL-", "/service-", "/port-", "/public-") {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	s.serves("alone")
	cancel()
	run.Wait()
}

// lines returns those that have one of the words.
func lines(text string, words ...string) string {
	var found []string
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.Contains(line, w) {
				found = append(found, strings.TrimSpace(line))
				break
			}
		}
	}
	return strings.Join(found, "\n")
}

// What debian/tests has for autopkgtest, as it is called there.
func TestAutopkgtest(t *testing.T) {
	for _, name := range []string{"life-cycle", "installed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, nil)
			if name != "life-cycle" {
				s.step("install", there(s.old))
			}
			ctx, cancel := context.WithTimeout(s.Context(), 3*time.Minute)
			defer cancel()
			out, err := s.host.Run(ctx, "env", "OLD="+there(s.old), "NEW="+there(s.later), tests+"/"+name)
			t.Log(out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// eventually waits until check returns nil.
func (s *stage) eventually(what string, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("not in time: %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitRequests returns when the client's host has opened n more connections.
func (s *stage) awaitRequests(n int) {
	s.Helper()
	opened := func() int {
		out, err := s.client.Run(s.Context(), "nstat", "-asz", "TcpActiveOpens")
		if err != nil {
			s.Fatal(err)
		}
		var count int
		for line := range strings.Lines(out) {
			if _, err := fmt.Sscanf(line, "TcpActiveOpens %d", &count); err == nil {
				return count
			}
		}
		s.Fatalf("no TcpActiveOpens in %q", out)
		return 0
	}
	from := opened()
	s.eventually("clients go on", func() error {
		if now := opened(); now < from+n {
			return fmt.Errorf("%d connections of %d", now-from, n)
		}
		return nil
	})
}

// held is a connection that stays open from another host.
type held struct {
	s   *stage
	cmd *host.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// hold opens it.
func (s *stage) hold() *held {
	s.Helper()
	h := &held{s: s, cmd: s.client.Cmd(s.Context(), s.swload, "hold", "-timeout=5s", server4+":8080")}
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		s.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	h.out = bufio.NewReader(out)
	if err := h.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if _, err := h.out.ReadString('\n'); err != nil { // its own address: it is connected
		s.Fatal(err)
	}
	return h
}

// says makes a request on it, which version has to answer.
func (h *held) says(version string) {
	h.s.Helper()
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.s.Fatal(err)
	}
	got, err := h.out.ReadString('\n')
	if got = strings.TrimSpace(got); err != nil || got != version {
		h.s.Fatalf("the connection that is held is answered by %q, not %s: %v", got, version, err)
	}
}
