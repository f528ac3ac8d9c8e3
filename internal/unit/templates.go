package unit

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Template is a template's file, and the drop-ins that all its instances have,
// in the order in which systemd applies them.
type Template struct {
	Name  string // "myapp@.service"
	Files []File
}

// Templates returns the service templates on disk that carry the section,
// sorted by name, so that their mistakes show before an instance is started.
// systemd cannot load a template, so its drop-ins are found as systemd finds
// them (unit_find_dropin_paths in src/shared/dropin.c).
func (c *Client) Templates(ctx context.Context) ([]Template, error) {
	list, dirs, err := c.unitFiles(ctx, "*@.service")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var templates []Template
	for _, file := range list {
		// An alias is another name of a template that is listed as well.
		if file.State == "alias" || strings.HasPrefix(file.State, "masked") {
			continue
		}
		name := path.Base(file.Path)
		files := c.files.readAll(append([]string{file.Path}, c.dropIns(name, dirs)...), nil)
		if carries(files, c.section) {
			templates = append(templates, Template{name, files})
		}
	}
	slices.SortFunc(templates, func(a, b Template) int { return strings.Compare(a.Name, b.Name) })
	return templates, nil
}

// Carries reports whether a unit's files on disk have the section, its template's
// if it is an instance. The unit is not loaded for that: see Status.
func (c *Client) Carries(ctx context.Context, name string) (bool, error) {
	names := []string{name}
	if prefix, instance, ok := strings.Cut(strings.TrimSuffix(name, ".service"), "@"); ok && instance != "" {
		names = append(names, prefix+"@.service")
	}
	list, dirs, err := c.unitFiles(ctx, names...)
	if err != nil {
		return false, fmt.Errorf("look for the files of %s: %w", name, err)
	}
	for _, file := range list {
		if strings.HasPrefix(file.State, "masked") {
			return false, nil
		}
	}
	if len(list) == 0 {
		return false, nil // drop-ins alone make no unit
	}
	var paths []string
	for _, file := range list {
		paths = append(paths, file.Path)
	}
	for _, n := range names {
		paths = append(paths, c.dropIns(n, dirs)...)
	}
	return carries(c.files.readAll(paths, nil), c.section), nil
}

// unitFile is one that systemd has found on disk.
type unitFile struct{ Path, State string }

// unitFiles returns the unit files whose names match patterns, and where systemd
// looks for them.
func (c *Client) unitFiles(ctx context.Context, patterns ...string) (list []unitFile, dirs []string, err error) {
	if err = c.manager(ctx, "ListUnitFilesByPatterns", []any{[]string{}, patterns}, &list); err == nil {
		err = c.get(ctx, "UnitPath", &dirs)
	}
	return list, dirs, err
}

// dropIns returns the paths of a unit's drop-ins: of each file name the
// one in the first directory that has it, sorted by file name.
func (c *Client) dropIns(unit string, dirs []string) []string {
	byFile := make(map[string]string)
	for _, sub := range dropInDirs(unit) {
		for _, dir := range dirs {
			dir = path.Join(dir, sub)
			entries, err := c.files.readDir(dir)
			if err != nil {
				c.files.trouble(dir, "drop-ins cannot be read", err)
			}
			for _, e := range entries {
				if _, taken := byFile[e.Name()]; !taken && strings.HasSuffix(e.Name(), ".conf") {
					byFile[e.Name()] = path.Join(dir, e.Name())
				}
			}
		}
	}
	var paths []string
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		paths = append(paths, byFile[file])
	}
	return paths
}

// dropInDirs returns the names of a unit's drop-in directories, most specific
// first: a-b@.service.d, a-.service.d, service.d.
func dropInDirs(unit string) []string {
	dirs := []string{unit + ".d"}
	prefix, suffix := strings.TrimSuffix(unit, ".service"), ".service"
	if before, _, ok := strings.Cut(prefix, "@"); ok {
		prefix, suffix = before, "@.service"
	}
	for {
		dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
		if dash <= 0 {
			break
		}
		prefix = prefix[:dash+1]
		dirs = append(dirs, prefix+suffix+".d")
	}
	return append(dirs, "service.d")
}
