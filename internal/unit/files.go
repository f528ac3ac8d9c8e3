package unit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of a unit file. systemd allows a line a
// megabyte; real ones have a few hundred bytes.
const maxFile = 4 << 20

// fileReader reads unit files, and complains once about each that it cannot.
type fileReader struct {
	root string
	log  *slog.Logger

	mu       sync.Mutex
	troubles map[string]string // by path: the error that was logged
}

// readAll reads the files at paths, in order. One that cannot be read is left
// out, unless old has it: then its old text stands. Both are logged.
func (r *fileReader) readAll(paths []string, old []File) []File {
	var files []File
	for _, path := range paths {
		data, err := r.read(path)
		if err == nil {
			r.fine(path)
			files = append(files, File{path, data})
			continue
		}
		kept := false
		for _, f := range old {
			if f.Path == path {
				files, kept = append(files, f), true
			}
		}
		if kept {
			r.trouble(path, "unit file cannot be read any more, keeping its last text", err)
		} else {
			r.trouble(path, "unit file cannot be read", err)
		}
	}
	return files
}

func (r *fileReader) trouble(path, message string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.troubles[path] != err.Error() {
		r.troubles[path] = err.Error()
		r.log.Error(message, "path", path, "err", err)
	}
}

func (r *fileReader) fine(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.troubles, path)
}

// read returns the text of one file, nil for /dev/null.
func (r *fileReader) read(path string) ([]byte, error) {
	f, err := r.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeCharDevice != 0:
		return nil, nil
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// open opens a file for reading. It does not wait for the writer of a FIFO.
func (r *fileReader) open(path string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK
	if r.root == "" {
		return os.OpenFile(path, flags, 0)
	}
	root, err := os.OpenFile(r.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Symbolic links, often absolute ones, mean files below root.
	fd, err := unix.Openat2(int(root.Fd()), path, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// readDir lists a directory; one that is missing is empty.
func (r *fileReader) readDir(path string) ([]fs.DirEntry, error) {
	f, err := r.open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
