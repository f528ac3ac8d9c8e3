package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// bill is a document of CycloneDX 1.5, as far as it is needed here:
// https://cyclonedx.org/docs/1.5/json/.
type bill struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// describe lists the programs, which belong to one module and have one version,
// and the modules that are in them, each once, sorted. Its serial number follows from the rest, so
// that the same programs have the same one.
func describe(version string, programs []program, made time.Time) (bill, error) {
	b := bill{
		Schema:  "http://cyclonedx.org/schema/bom-1.5.schema.json",
		Format:  "CycloneDX",
		Spec:    "1.5",
		Version: 1,
		Metadata: metadata{
			Component: component{Type: "application", Ref: programs[0].module, Name: programs[0].module, Version: version},
		},
	}
	if !made.IsZero() {
		b.Metadata.Timestamp = made.Format(time.RFC3339)
	}
	whole := dependency{Ref: b.Metadata.Component.Ref, DependsOn: []string{}}
	known := map[string]bool{}
	for _, p := range programs {
		if p.module != programs[0].module {
			return bill{}, fmt.Errorf("%s belongs to %s, and %s to %s", p.name, p.module, programs[0].name, programs[0].module)
		}
		ref := "file:" + p.name
		whole.DependsOn = append(whole.DependsOn, ref)
		b.Components = append(b.Components, component{
			Type: "application", Ref: ref, Name: p.name, Version: version, Hashes: []hash{{"SHA-256", p.sha256}},
		})
		needs := dependency{Ref: ref, DependsOn: []string{}}
		for _, m := range p.modules {
			needs.DependsOn = append(needs.DependsOn, m.purl())
			if known[m.purl()] {
				continue
			}
			known[m.purl()] = true
			c := component{Type: "library", Ref: m.purl(), Name: m.path, Version: m.version, PURL: m.purl()}
			if m.sum != "" {
				c.Properties = []property{{"go:sum", m.sum}}
			}
			b.Components = append(b.Components, c)
		}
		slices.Sort(needs.DependsOn)
		b.Dependencies = append(b.Dependencies, needs)
	}
	slices.Sort(whole.DependsOn)
	b.Dependencies = append(b.Dependencies, whole)
	slices.SortFunc(b.Components, func(x, y component) int { return cmp.Compare(x.Ref, y.Ref) })
	slices.SortFunc(b.Dependencies, func(x, y dependency) int { return cmp.Compare(x.Ref, y.Ref) })

	text, err := json.Marshal(b)
	if err != nil {
		return bill{}, err
	}
	id := sha256.Sum256(text)
	id[6] = id[6]&0x0f | 0x80 // a UUID of version 8: what it follows from is our own affair
	id[8] = id[8]&0x3f | 0x80
	b.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	return b, nil
}
