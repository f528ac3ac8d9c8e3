// Command suite is what `make test` runs: lint, the unit tests under -race,
// every fuzz target, the Debian packages, the end-to-end tests and the loss
// bench, one stage after the other so that those that measure time have the
// machine to themselves. A failed stage does not stop the next. The last line it
// prints is
//
//	N passed, N failed, N skipped
//
// where N counts tests (of a table, its cases), fuzz targets and one for lint.
// It exits with 1 if anything failed, or if anything was skipped as root.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("suite", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated stages to run, of "+strings.Join(stageNames(), ", ")+" (all)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	picked, err := pick(*only)
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 2
	}

	report := newReport(stdout)
	for _, s := range picked {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(stdout, "\n== %s: %s\n", s.name, s.about)
		begun := time.Now()
		if err := s.run(ctx, report); err != nil {
			report.failure(s.name, err.Error())
		}
		fmt.Fprintf(stdout, "== %s took %.0f s\n", s.name, time.Since(begun).Seconds())
	}
	if ctx.Err() != nil {
		report.failure("suite", "interrupted")
	}
	return report.summary(os.Geteuid() == 0)
}
