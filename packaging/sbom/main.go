// Command sbom prints a software bill of materials of Go programs, in the JSON
// form of CycloneDX 1.5: the programs, with the checksums of their files, and
// the modules that the linker has put into them, as `go version -m` tells.
//
//	sbom 1.2.3 bin/switcheroo bin/switcherood
//
// 1.2.3 is the version of the programs, which the linker does not tell. The same programs give the same bytes. $SOURCE_DATE_EPOCH, in seconds since
// 1970, is the time that it bears; without it, it bears none.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom: error:", err)
		os.Exit(1)
	}
}

func run(args []string, epoch string, stdout io.Writer) error {
	if len(args) < 2 {
		return errors.New("no programs: want their version and their names")
	}
	version, files := args[0], args[1:]
	var made time.Time
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		made = time.Unix(seconds, 0).UTC()
	}
	var programs []program
	for _, file := range files {
		p, err := readProgram(file)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	b, err := describe(version, programs, made)
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(b)
}
