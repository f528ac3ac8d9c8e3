package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
)

// short returns a unit's name as people write it.
func short(unit string) string { return strings.TrimSuffix(unit, ".service") }

// full returns a unit's whole name.
func full(unit string) string { return short(unit) + ".service" }

// instanceName returns the unit that an argument names, which has to be one
// that can be started.
func instanceName(arg string) (string, error) {
	stem := short(arg)
	bad := strings.ContainsFunc(stem, func(c rune) bool {
		return !strings.ContainsRune(unitChars, c)
	})
	switch {
	case strings.HasSuffix(stem, "@") && stem != "@" && !bad:
		return "", usageError{hinted{fmt.Errorf("%s is a template", stem), fmt.Sprintf("name an instance of it, such as %q", stem+"v2")}}
	case bad, stem == "", strings.HasPrefix(stem, "@"):
		return "", usageError{hinted{fmt.Errorf("%q is not the name of a service unit", arg), `name one such as "myapp@v2"`}}
	}
	return full(arg), nil
}

// unitChars are the characters of a unit's name.
const unitChars = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\@-`

// versionOf returns what tells an instance from others of its service.
func versionOf(in *api.Instance) string {
	if in.Version != "" {
		return in.Version
	}
	return short(in.Unit)
}

// pick returns the services that the patterns name, each with the instances
// that they name: all if it is named itself, or if there are no patterns. A
// pattern that names nothing is an error.
func pick(all []api.Service, patterns []string) ([]api.Service, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	used := map[string]bool{}
	var picked []api.Service
	for _, svc := range all {
		whole := false
		var some []api.Instance
		for _, p := range patterns {
			if matches(p, svc.Name) {
				whole, used[p] = true, true
			}
		}
		for _, in := range svc.Instances {
			named := false
			for _, p := range patterns {
				if matches(p, in.Unit) || matches(p, short(in.Unit)) {
					named, used[p] = true, true
				}
			}
			if named {
				some = append(some, in)
			}
		}
		if !whole {
			svc.Instances = some
		}
		if whole || len(some) > 0 {
			picked = append(picked, svc)
		}
	}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, usageError{hinted{fmt.Errorf("pattern %q: a bracket is not closed", p), `patterns are those of a shell: "web*", "myapp@v?", "myapp@v[12]"`}}
		}
		if !used[p] {
			return nil, nothing(p, all)
		}
	}
	return picked, nil
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// isPattern says whether a name may stand for several.
func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// nothing says that there is no service or instance of that name, and which
// one was probably meant.
func nothing(name string, all []api.Service) error {
	err := fmt.Errorf("no service or instance %q", name)
	if isPattern(name) {
		err = fmt.Errorf("no service or instance matches %q", name)
	}
	return failure{hinted{err, near(name, all)}, exitNoService}
}

// near says which name was probably meant, or which there are.
func near(name string, all []api.Service) string {
	name = short(name)
	var services, names []string
	for i := range all {
		svc := &all[i]
		services = append(services, svc.Name)
		if svc.Name == name && len(svc.Instances) > 0 {
			return fmt.Sprintf("%s is a service; name an instance of it, such as %q", name, short(svc.Instances[0].Unit))
		}
		for _, in := range svc.Instances {
			names = append(names, short(in.Unit))
			switch {
			case short(in.Unit) == name:
				return fmt.Sprintf("%s is an instance of the service %s", name, svc.Name)
			case in.Version == name:
				return fmt.Sprintf("did you mean %q?", short(in.Unit))
			}
		}
	}
	if best := config.Nearest(name, append(services, names...)); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	switch n := len(services); {
	case n == 0:
		return `no loaded unit has an [X-Switcheroo] section; "switcheroo check FILE" looks at one that is not loaded`
	case n > 5:
		return `"switcheroo list" shows what there is`
	}
	return "there is " + strings.Join(services, ", ")
}

// suggest adds to the daemon's error that there is no such thing which one was
// probably meant.
func (s *session) suggest(ctx context.Context, err error, name string) error {
	var known *api.Error
	if !errors.As(err, &known) || known.Code != api.NoService && known.Code != api.NoInstance {
		return err
	}
	all, listErr := s.client.Services(ctx, api.Select{})
	if listErr != nil {
		return err
	}
	with := *known
	switch hint := near(name, all); {
	case known.Code == api.NoInstance && strings.HasSuffix(hint, "\""): // it is a service
		with.HintText = hint
	case known.Code == api.NoInstance && !strings.HasPrefix(hint, "did you mean"):
		with.HintText = fmt.Sprintf(`"systemctl cat %s" shows what systemd has; after a change: "systemctl daemon-reload"`, short(name))
	case known.Code == api.NoInstance:
		with.HintText = hintForInstance(name, all, hint)
	default:
		with.HintText = hint
	}
	return &with
}

// hintForInstance keeps the version that was asked for if only the name of its
// template is wrong.
func hintForInstance(name string, all []api.Service, hint string) string {
	prefix, version, isInstance := strings.Cut(short(name), "@")
	if !isInstance {
		return hint
	}
	var templates []string
	for _, svc := range all {
		for _, in := range svc.Instances {
			if t, _, ok := strings.Cut(short(in.Unit), "@"); ok {
				templates = append(templates, t)
			}
		}
	}
	best := config.Nearest(prefix, templates)
	if best == "" || best == prefix {
		return hint
	}
	return fmt.Sprintf("did you mean %q?", best+"@"+version)
}
