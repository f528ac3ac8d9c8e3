package contender

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// versionName is what a version is called: an instance, and what the server
// answers with.
func versionName(version int) string { return fmt.Sprint("v", version) }

// instanceName is the unit of a version, for contenders that run several at a
// time.
func instanceName(s Service, version int) string {
	return s.Name + "@" + versionName(version) + ".service"
}

// instances is the template of those, in which a server listens as in says.
// PORT is its private number, if start gave it one.
func instances(s Service, in server.Listen) map[string]string {
	return map[string]string{
		"/etc/systemd/system/" + s.Name + "@.service": unit(s, in, "/run/bench/%p/%i.env"),
	}
}

// alone is the only unit of a service, which runs each version in turn. It has
// no instance: the version comes from a file.
func alone(s Service, in server.Listen) map[string]string {
	text := unit(s, in, versionFile(s))
	return map[string]string{
		"/etc/systemd/system/" + s.Name + ".service": strings.ReplaceAll(text, "%i", "${VERSION}"),
	}
}

func versionFile(s Service) string { return "/run/bench/" + s.Name + ".env" }

// unit is a unit file. What the manager would refuse for coming too often is a
// bench's daily work, so there are no such limits.
func unit(s Service, in server.Listen, env string) string {
	kind := "exec"
	if s.Kind.Notify {
		kind = "notify"
	}
	return fmt.Sprintf(`[Unit]
StartLimitIntervalSec=0
CollectMode=inactive-or-failed

[Service]
Type=%s
EnvironmentFile=-%s
%s
`, kind, env, strings.TrimSpace(s.Kind.Service(in)))
}

// prepare returns what all contenders need for these services: their servers,
// and the units that files makes for each.
func prepare(services []Service, files func(Service) map[string]string) Preparation {
	p := Preparation{Files: map[string]string{}, Binds: map[string]server.Build{}, Sysctl: map[string]string{}}
	for _, s := range services {
		maps.Copy(p.Files, s.Kind.Files)
		maps.Copy(p.Binds, s.Kind.Binds)
		maps.Copy(p.Files, files(s))
	}
	return p
}

// startInstance starts a version on a private port of its own, and returns
// that once the server listens.
func startInstance(ctx context.Context, a *arena.Arena, s Service, version int) (port uint16, err error) {
	port = privatePort(s, version)
	env := fmt.Sprintf("/run/bench/%s/%s.env", s.Name, versionName(version))
	if err := a.Host.WriteFile(env, fmt.Sprintf("PORT=%d\n", port)); err != nil {
		return 0, err
	}
	// Read once, at the start: no reason to keep one for each version.
	defer remove(a, env)
	if _, err := a.Host.Systemctl(ctx, "start", instanceName(s, version)); err != nil {
		return 0, err
	}
	return port, awaitListener(ctx, a, port)
}

// stopAtOnce sends a version its SIGTERM, and does not wait for its end.
func stopAtOnce(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := a.Host.Systemctl(ctx, "stop", "--no-block", instanceName(s, version))
	return err
}

// settleInstances returns when at most one instance of the service is left.
func settleInstances(ctx context.Context, a *arena.Arena, s Service) error {
	return await(ctx, slowly, "one instance of "+s.Name+" is left", func() error {
		out, err := a.Host.Systemctl(ctx, "list-units", "--plain", "--no-legend",
			"--state=active,activating,deactivating,reloading", s.Name+"@*.service")
		if err != nil {
			return err
		}
		if n := strings.Count(out, ".service "); n > 1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

// supports returns an error if the server cannot listen in any of these ways.
func supports(k server.Kind, how server.Takes, what string) error {
	if k.Takes&how == 0 {
		return fmt.Errorf("%s cannot listen on %s", k.Name, what)
	}
	return nil
}

// remove deletes a file, or a directory with what is in it, on the running
// host.
func remove(a *arena.Arena, path string) error {
	root, err := os.OpenRoot(hostRoot(a))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(strings.TrimPrefix(path, "/"))
}

// hostRoot is the running host's root directory, seen from here.
func hostRoot(a *arena.Arena) string { return fmt.Sprintf("/proc/%d/root", a.Host.PID()) }

// repositoryFile reads a file of the module that the working directory is in.
func repositoryFile(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			b, err := os.ReadFile(filepath.Join(dir, name))
			return string(b), err
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("read %s: the working directory is not in the module", name)
		}
		dir = filepath.Dir(dir)
	}
}
