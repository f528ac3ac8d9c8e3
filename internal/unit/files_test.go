package unit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// paths returns where a unit's files are, in order.
func paths(files []File) []string {
	var p []string
	for _, f := range files {
		p = append(p, strings.TrimPrefix(f.Path, "/etc/systemd/system/"))
	}
	return p
}

func TestWatchDropIns(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{
		"a-b@.service":                     "[Service]\nExecStart=/bin/sleep 1000\n",
		"a-b@.service.d/50-listen.conf":    "[X-Switcheroo]\nListen=443\n",
		"a-b@.service.d/10-first.conf":     "[X-Switcheroo]\nListen=1\n",
		"a-b@one.service.d/30-inst.conf":   "[X-Switcheroo]\nListen=2\n",
		"service.d/20-all.conf":            "[Service]\n",
		"a-@.service.d/40-prefix.conf":     "[Service]\n",
		"a-b@.service.d/60-masked.conf":    "[X-Switcheroo]\nListen=3\n",
		"a-b@one.service.d/not-a-conf.txt": "[X-Switcheroo]\nListen=4\n",
		"target.txt":                       "[X-Switcheroo]\nListen=5\n",
		"real@.service":                    template("ExecStart=/bin/sleep 1000", "[Install]", "DefaultInstance=x"),
	})
	sh(t, h, `cd /etc/systemd/system &&
		ln -s /etc/systemd/system/target.txt a-b@.service.d/70-absolute.conf &&
		ln -s ../target.txt a-b@.service.d/80-relative.conf &&
		ln -s /etc/nowhere a-b@.service.d/90-dangling.conf &&
		mkdir -p /run/systemd/system/a-b@.service.d &&
		ln -s /dev/null /run/systemd/system/a-b@.service.d/60-other.conf &&
		rm a-b@.service.d/60-masked.conf && ln -s /dev/null a-b@.service.d/60-masked.conf &&
		ln -s real@.service nick@.service`)
	w := watch(t, h)
	systemctl(t, h, "start", "a-b@one")
	u := w.awaitActive("a-b@one.service")
	listed := systemctl(t, h, "show", "-P", "DropInPaths", "a-b@one")
	want := append([]string{"a-b@.service"}, strings.Fields(strings.ReplaceAll(listed, "/etc/systemd/system/", ""))...)
	for i, p := range want {
		if strings.Contains(p, "dangling") {
			want = append(want[:i], want[i+1:]...)
			break
		}
	}
	if diff := cmp.Diff(want, paths(u.Files)); diff != "" || len(want) < 8 {
		t.Errorf("files, as systemd lists them (-want +got):\n%s", diff)
	}
	for path, text := range texts(u) {
		if strings.Contains(path, "absolute") || strings.Contains(path, "relative") {
			if text != "[X-Switcheroo]\nListen=5\n" {
				t.Errorf("%s: %q", path, text)
			}
		}
	}
	w.Resync()
	w.await("resync", func(e Event) bool { return e.Kind == Resync })
	if strings.Contains(listed, "dangling") {
		if got := strings.Count(w.log.String(), "90-dangling.conf"); got == 0 || strings.Count(w.log.String(), "level=ERROR") != 1 {
			t.Errorf("a drop-in that cannot be read is to be logged once:\n%s", w.log)
		}
	}

	// What Templates says all instances have is what systemd gives to one
	// that has nothing of its own.
	systemctl(t, h, "start", "a-b@two", "nick@two")
	plain := w.awaitActive("a-b@two.service")
	w.awaitActive("real@two.service") // which nick@two is
	templates, err := w.Templates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, tpl := range templates {
		got[tpl.Name] = paths(tpl.Files)
	}
	wantTemplates := map[string][]string{"a-b@.service": paths(plain.Files), "real@.service": {"real@.service", "service.d/20-all.conf"}}
	if diff := cmp.Diff(wantTemplates, got); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
}

func TestWatchAlias(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{
		"real.service": template("ExecStart=/bin/sleep 1000") + "[Install]\nAlias=nick.service\nWantedBy=multi-user.target\n",
	})
	w := watch(t, h)
	if err := w.Enable(t.Context(), "real.service"); err != nil {
		t.Fatal(err)
	}
	systemctl(t, h, "daemon-reload")
	systemctl(t, h, "start", "nick.service")
	u := w.awaitActive("real.service")
	for _, name := range []string{"nick.service", "real.service"} {
		got, err := w.Status(t.Context(), name)
		got.Job = ""
		u.Job = ""
		if diff := cmp.Diff(u, got); diff != "" || err != nil {
			t.Errorf("Status(%s) = %v (-want +got):\n%s", name, err, diff)
		}
	}
	if err := w.Stop(t.Context(), "nick.service"); err != nil {
		t.Fatal(err)
	}
	w.awaitUnit("real.service", "stopped", Status.isEnded) // and loaded, for multi-user.target wants it
	if got := w.names(); !cmp.Equal(got, []string{"real.service"}) {
		t.Errorf("units = %v", got)
	}
}

// What an operator takes away from a running unit is its next start, not its
// port.
func TestWatchFileRemoved(t *testing.T) {
	t.Parallel()
	text := template("Type=notify", "ExecStart=/app")
	h := boot(t, map[string]string{"gone@.service": text, "masked.service": text, "edited@.service": text})
	w := watch(t, h)
	systemctl(t, h, "start", "gone@1", "masked", "edited@1")
	for _, name := range []string{"gone@1.service", "masked.service", "edited@1.service"} {
		w.awaitActive(name)
	}
	check := func(when string) {
		t.Helper()
		for _, name := range []string{"gone@1.service", "masked.service", "edited@1.service"} {
			u, ok := w.units[name]
			if !ok || u.Active != "active" || len(u.Files) != 1 || string(u.Files[0].Data) != text {
				t.Errorf("%s: %s: %+v", when, name, u)
			}
			if now, err := w.Status(t.Context(), name); err != nil || !cmp.Equal(now.Files, u.Files) {
				t.Errorf("%s: Status(%s) = %+v, %v", when, name, now, err)
			}
		}
	}
	// Nor does an edit count before systemd has read it.
	writeFile(t, h, "/etc/systemd/system/edited@.service", text+"# edited\n")
	check("edited")
	writeFile(t, h, "/etc/systemd/system/edited@.service", text)
	sh(t, h, "cd /etc/systemd/system && rm gone@.service && mv masked.service /root && ln -s /dev/null masked.service")
	w.Resync()
	w.await("resync", func(e Event) bool { return e.Kind == Resync })
	check("not reloaded")
	systemctl(t, h, "daemon-reload")
	w.await("resync", func(e Event) bool { return e.Kind == Resync })
	w.settle()
	check("reloaded")
	systemctl(t, h, "restart", "dbus.service")
	w.await("resync", func(e Event) bool { return e.Kind == Resync })
	w.settle()
	check("the bus restarted")
	if got := strings.Count(w.log.String(), "level=ERROR"); got > 1 {
		t.Errorf("logged more than once:\n%s", w.log)
	}
	if err := w.Stop(t.Context(), "gone@1.service"); err != nil {
		t.Fatal(err)
	}
	w.awaitGone("gone@1.service")
}

func TestFileReader(t *testing.T) {
	t.Parallel()
	h := boot(t, nil)
	sh(t, h, `mkdir /d && cd /d && echo hello >f && ln -s /d/f link && ln -s /dev/null mask && mkfifo fifo && mkdir dir &&
		ln -s ../../../../../d/f up && head -c 5000000 /dev/zero >big`)
	log := &logBuffer{}
	r := &fileReader{root: root(h), log: log.logger(), troubles: map[string]string{}}
	type result struct {
		Data string
		Err  bool
	}
	want := map[string]result{
		"/d/f": {Data: "hello\n"}, "/d/link": {Data: "hello\n"}, "/d/up": {Data: "hello\n"}, "/d/mask": {},
		"/d/fifo": {Err: true}, "/d/dir": {Err: true}, "/d/big": {Err: true}, "/d/none": {Err: true},
	}
	got := map[string]result{}
	for path := range want {
		data, err := r.read(path)
		got[path] = result{string(data), err != nil}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	old := []File{{"/d/none", []byte("old")}}
	for range 3 {
		if diff := cmp.Diff([]File{{"/d/none", []byte("old")}, {"/d/f", []byte("hello\n")}}, r.readAll([]string{"/d/none", "/d/f", "/d/dir"}, old)); diff != "" {
			t.Errorf("readAll (-want +got):\n%s", diff)
		}
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 2 {
		t.Errorf("%d errors logged, want one for each of two files:\n%s", got, log)
	}
	sh(t, h, "rmdir /d/dir && echo now >/d/dir")
	r.readAll([]string{"/d/dir"}, nil)
	sh(t, h, "rm /d/dir")
	r.readAll([]string{"/d/dir"}, nil)
	if got := strings.Count(log.String(), "level=ERROR"); got != 3 {
		t.Errorf("%d errors logged, want another one for a file that was fine in between:\n%s", got, log)
	}
}
