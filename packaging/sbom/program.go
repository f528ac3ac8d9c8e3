package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// program is a Go program, and what it says of itself.
type program struct {
	name    string // of the file
	sha256  string // of the file, in hexadecimal
	module  string // that it belongs to
	modules []module
}

// module is one that is linked into a program. The standard library is one, too.
type module struct {
	path, version string
	sum           string // as in go.sum; "" for the standard library
}

// stdlib is the path under which vulnerabilities of the standard library, and of
// the toolchain, are kept.
const stdlib = "stdlib"

// readProgram reads what the linker has left in the file.
func readProgram(file string) (program, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, err // names the file
	}
	sum := sha256.Sum256(content)
	p := program{
		name:    filepath.Base(file),
		sha256:  hex.EncodeToString(sum[:]),
		module:  info.Main.Path,
		modules: []module{{path: stdlib, version: strings.TrimPrefix(info.GoVersion, "go")}},
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		p.modules = append(p.modules, module{dep.Path, dep.Version, dep.Sum})
	}
	return p, nil
}

// purl names the module as a package URL.
func (m module) purl() string {
	if m.path == stdlib {
		return "pkg:golang/stdlib@" + m.version
	}
	return "pkg:golang/" + m.path + "@" + m.version
}
