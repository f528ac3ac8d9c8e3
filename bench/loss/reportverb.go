package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/switcheroo/switcheroo/bench/loss/report"
)

// reportVerb draws the results, and puts their tables into the document.
func reportVerb(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loss report", flag.ContinueOnError)
	results := flags.String("results", "bench/loss/results", "`directory` with run.json, long.json and held.json")
	docs := flags.String("docs", "docs", "`directory` with loss.md, for the plots as well")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	var run report.Run
	var long report.Long
	var held []report.Held
	for name, v := range map[string]any{"run.json": &run, "long.json": &long, "held.json": &held} {
		path := filepath.Join(*results, name)
		// Without it the document would lose what it has.
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("no results to report (\"loss run\", \"loss long\" and \"loss held\" write them): %w", err)
		}
		if err := report.ReadJSON(path, v); err != nil {
			return err
		}
	}
	document := filepath.Join(*docs, "loss.md")
	if err := report.Document(document, &run, &long, held); err != nil {
		return err
	}
	for name, picture := range map[string]string{
		"loss-failures.svg": report.Losses(run.Cells),
		"loss-latency.svg":  report.Latencies(run.Cells),
	} {
		if err := os.WriteFile(filepath.Join(*docs, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, "written:", document)
	return nil
}
