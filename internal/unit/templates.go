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
	var (
		list []struct{ Path, State string }
		dirs []string
	)
	err := c.manager(ctx, "ListUnitFilesByPatterns", []any{[]string{}, []string{"*@.service"}}, &list)
	if err == nil {
		err = c.get(ctx, "UnitPath", &dirs)
	}
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

// dropIns returns the paths of a template's drop-ins: of each file name the
// one in the first directory that has it, sorted by file name.
func (c *Client) dropIns(template string, dirs []string) []string {
	byFile := make(map[string]string)
	for _, sub := range dropInDirs(template) {
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
func dropInDirs(template string) []string {
	dirs := []string{template + ".d"}
	prefix := strings.TrimSuffix(template, "@.service")
	for {
		dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
		if dash <= 0 {
			break
		}
		prefix = prefix[:dash+1]
		dirs = append(dirs, prefix+"@.service.d")
	}
	return append(dirs, "service.d")
}
