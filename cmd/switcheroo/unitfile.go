package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/config"
)

// unitFiles is a unit with the files that it is made of: its own and its
// drop-ins, in the order in which systemd applies them.
type unitFiles struct {
	name  string
	path  string // as it was named
	found bool   // in a folder that was named
	files []config.File
}

// unitsOf returns the units that paths name: files, drop-ins, folders.
func unitsOf(paths []string) ([]unitFiles, error) {
	var all []unitFiles
	seen := map[string]bool{}
	add := func(path string, found bool) error {
		if seen[path] {
			return nil // named twice, or by several of its drop-ins
		}
		seen[path] = true
		u, err := unitOf(path)
		u.found = found
		all = append(all, u)
		return err
	}
	for _, path := range paths {
		path = filepath.Clean(path)
		if unit, ok := strings.CutSuffix(filepath.Dir(path), ".service.d"); ok && filepath.Ext(path) == ".conf" {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("read unit: %w", err)
			}
			if err := add(unit+".service", false); err != nil {
				return nil, err
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			if err := add(path, false); err != nil {
				return nil, err
			}
			continue
		}
		inside, err := filepath.Glob(filepath.Join(escapeGlob(path), "*.service"))
		if err != nil {
			return nil, err
		}
		if len(inside) == 0 {
			return nil, fmt.Errorf("no unit in %s: nothing there ends in .service", path)
		}
		for _, file := range inside {
			if err := add(file, true); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// unitOf reads the unit at path, or an instance of a template that is there.
// With drop-ins its own file may be missing.
func unitOf(path string) (unitFiles, error) {
	dir, name := filepath.Split(path)
	u := unitFiles{name: name, path: path}
	template := templateOf(name)
	main, err := readUnit(path)
	if errors.Is(err, fs.ErrNotExist) && template != "" {
		main, err = readUnit(dir + template)
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return u, err
	}
	if !missing {
		u.files = append(u.files, main)
	}
	dropIns := map[string]string{} // path by name
	for _, of := range []string{template, name} {
		if of == "" {
			continue
		}
		found, globErr := filepath.Glob(filepath.Join(escapeGlob(dir+of+".d"), "*.conf"))
		if globErr != nil {
			return u, globErr
		}
		for _, f := range found {
			dropIns[filepath.Base(f)] = f
		}
	}
	if missing && len(dropIns) == 0 {
		return u, hinted{fmt.Errorf("read unit: %w", err), `files are checked, not units: without any, "switcheroo check" looks at all that systemd has loaded`}
	}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		f, err := readUnit(dropIns[base])
		if err != nil {
			return u, err
		}
		u.files = append(u.files, f)
	}
	return u, nil
}

// maxUnit bounds what is read of a unit file.
const maxUnit = 4 << 20

// readUnit reads a unit file; one that is masked is empty.
func readUnit(path string) (config.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return config.File{}, err
	case info.Mode()&fs.ModeCharDevice != 0:
		return config.File{Path: path}, nil
	case !info.Mode().IsRegular():
		return config.File{}, fmt.Errorf("read unit: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return config.File{}, fmt.Errorf("read unit: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxUnit+1))
	if err == nil && len(data) > maxUnit {
		err = errors.New("it is larger than 4 MiB")
	}
	if err != nil {
		return config.File{}, fmt.Errorf("read unit %s: %w", path, err)
	}
	return config.File{Path: path, Data: data}, nil
}
