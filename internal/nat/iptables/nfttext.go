package iptables

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// nftTexts reads what `nft -a list table` printed: the text of each rule by its
// handle. A rule with a long list takes several lines.
func nftTexts(listing string) map[uint64]string {
	texts := map[uint64]string{}
	var begun []string
	inChain := false
	for line := range strings.Lines(listing) {
		line = strings.TrimSpace(line)
		text, handle, hasHandle := cutHandle(line)
		switch {
		case strings.HasPrefix(line, "chain "):
			inChain, begun = true, nil
		case !inChain:
		case line == "}":
			inChain = false
		case hasHandle:
			texts[handle] = strings.Join(append(begun, text), " ")
			begun = nil
		case strings.HasSuffix(line, ";"): // "type filter hook input ..."
			begun = nil
		case line != "":
			begun = append(begun, line)
		}
	}
	return texts
}

func cutHandle(line string) (text string, handle uint64, ok bool) {
	i := strings.LastIndex(line, " # handle ")
	if i < 0 {
		return line, 0, false
	}
	handle, err := strconv.ParseUint(line[i+len(" # handle "):], 10, 64)
	return line[:i], handle, err == nil
}

var (
	// The ways that a rule asks for the port that it sees, but "!=".
	nftPort = regexp.MustCompile(`\b(tcp|th) dport (\{[^}]*\}|@[^ ]+|[0-9][^ ]*)`)
	nftOrig = regexp.MustCompile(`\bct original proto-dst (\{[^}]*\}|@[^ ]+|[0-9][^ ]*)`)
	// What of a rule is no condition, or follows from its port.
	nftCounter = regexp.MustCompile(`\bcounter packets [0-9]+ bytes [0-9]+`)
	nftNoise   = regexp.MustCompile(`\bct status dnat\b|\b(meta l4proto|ip protocol|ip6 nexthdr) tcp\b|\bcounter\b|\bcomment "[^"]*"`)
)

// nftForDialled returns the text of a rule with the port dialled in place of
// the port that it names; "" if that is not plain to see.
func nftForDialled(text string, port uint16) string {
	if len(nftPort.FindAllString(text, 2)) != 1 || strings.Contains(text, "vmap") {
		return ""
	}
	text = nftCounter.ReplaceAllString(text, "counter")
	return nftPort.ReplaceAllLiteralString(text, nftDialled(port))
}

// nftDialled matches redirected connections. nft knows what a "proto-dst" is
// only once it knows the protocol.
func nftDialled(port uint16) string {
	return fmt.Sprintf("meta l4proto tcp ct status dnat ct original proto-dst %d", port)
}

// nftSame is equal for two rules that differ in nothing but how they ask for
// the port, in counters and in comments.
func nftSame(text string) string {
	for _, drop := range []*regexp.Regexp{nftCounter, nftPort, nftOrig, nftNoise} {
		text = drop.ReplaceAllLiteralString(text, "")
	}
	return strings.Join(strings.Fields(text), " ")
}
