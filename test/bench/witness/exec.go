package main

import (
	"encoding/binary"
	"errors"
)

var native = binary.NativeEndian

// parseExecs reads struct fanotify_event_metadata, each followed by a struct
// fanotify_event_info_pidfd; see fanotify(7). A process that has ended has no
// pidfd, and gets -1.
func parseExecs(b []byte) ([]execution, error) {
	const metadata, infoPidfd = 24, 4
	var all []execution
	for len(b) >= metadata {
		n := int(native.Uint32(b))
		if n < metadata || n > len(b) {
			return nil, errors.New("damaged message")
		}
		e := execution{file: int(int32(native.Uint32(b[16:]))), pid: int(int32(native.Uint32(b[20:]))), pidfd: -1}
		for info := b[int(native.Uint16(b[6:])):n]; len(info) >= 8; {
			size := int(native.Uint16(info[2:]))
			if size < 8 || size > len(info) {
				return nil, errors.New("damaged record")
			}
			if info[0] == infoPidfd {
				e.pidfd = int(int32(native.Uint32(info[4:])))
			}
			info = info[size:]
		}
		all = append(all, e)
		b = b[n:]
	}
	return all, nil
}
