package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is a unit file or drop-in as read from disk.
type File struct {
	Path string
	Data []byte
}

// DaemonPath is where the daemon's own settings are.
const DaemonPath = "/etc/switcheroo/switcherood.conf"

// DaemonFiles reads the daemon's settings: path, usually [DaemonPath], and then
// path.d/*.conf in lexical order. None of them needs to be there. A file that
// cannot be read does not keep the others from being returned beside the error.
func DaemonFiles(path string) ([]File, error) {
	entries, err := os.ReadDir(path + ".d") // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	} else if err != nil {
		err = fmt.Errorf("read drop-ins: %w", err)
	}
	paths := []string{path}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(path+".d", e.Name()))
		}
	}
	var files []File
	for _, path := range paths {
		f, fileErr := readFile(path)
		if errors.Is(fileErr, fs.ErrNotExist) {
			continue
		}
		if fileErr != nil {
			err = errors.Join(err, fileErr)
			continue
		}
		files = append(files, f)
	}
	return files, err
}

// readFile reads one configuration file. What is not a regular file would
// block or never end; only /dev/null, which masks a drop-in, is empty instead.
func readFile(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, fmt.Errorf("read settings: %w", err)
	}
	if info.Mode()&fs.ModeCharDevice != 0 {
		return File{Path: path}, nil
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("read settings: %s is not a regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("read settings: %w", err)
	}
	return File{Path: path, Data: data}, nil
}
