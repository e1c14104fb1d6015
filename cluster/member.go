package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/cluster/wal"
)

// The file DATA/member says since when the directory has been a member's, and which. One that has it, or a snapshot, had a log too: when there is none
// it was lost, and with it writes that had been acknowledged.
//
//	holdfast data directory, format 2, made 2026-01-02T15:04:05Z
//	id 0123456789abcdef            raft's
//	group 0123456789abcdef 1       which group, and how often it began anew
//	durability second              how the log is kept
//	served                         it has answered requests
//	forgetful                      it may have forgotten what it acknowledged
//	adopt 42                       the snapshot of entry 42, named *.joined, takes the place of everything else: see adopt
//
// Format 1 is the first line alone: a group of one.
const (
	memberFile   = "member"
	memberFormat = 2
	memberText   = "holdfast data directory, format %d, made %s\n"
	maxMember    = 4 << 10 // bytes
)

// record is what stands in DATA/member.
type record struct {
	made       string // when; empty: the directory is not a member's
	id         uint64
	group      groupID
	durability string
	served     bool
	forgetful  bool
	adopt      uint64 // 0: nothing to adopt
}

func (r *record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, memberText, memberFormat, r.made)
	fmt.Fprintf(&b, "id %016x\ngroup %016x %d\ndurability %s\n", r.id, r.group.id, r.group.founding, r.durability)
	if r.served {
		b.WriteString("served\n")
	}
	if r.forgetful {
		b.WriteString("forgetful\n")
	}
	if r.adopt != 0 {
		fmt.Fprintf(&b, "adopt %d\n", r.adopt)
	}
	return b.String()
}

func parseRecord(text string) (r record, ok bool) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var format int
	if _, err := fmt.Sscanf(lines[0]+"\n", memberText, &format, &r.made); err != nil || format < 1 || format > memberFormat {
		return r, false
	}
	if format == 1 {
		r.id, r.served = firstID, true
		return r, len(lines) == 1
	}
	for _, line := range lines[1:] {
		word, rest, _ := strings.Cut(line, " ")
		var err error
		switch word {
		case "id":
			_, err = fmt.Sscanf(rest, "%x", &r.id)
		case "group":
			_, err = fmt.Sscanf(rest, "%x %d", &r.group.id, &r.group.founding)
		case "durability":
			r.durability = rest
		case "served":
			r.served = true
		case "forgetful":
			r.forgetful = true
		case "adopt":
			_, err = fmt.Sscanf(rest, "%d", &r.adopt)
		default:
			return r, false
		}
		if err != nil {
			return r, false
		}
	}
	return r, r.id != 0
}

// readRecord reads what stands in dir; an empty record if there is nothing.
func readRecord(dir string) (r record, err error) {
	path := filepath.Join(dir, memberFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read whose data directory it is: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMember))
	if err != nil {
		return r, fmt.Errorf("read whose data directory it is: %w", err)
	}
	r, ok := parseRecord(string(b))
	if !ok {
		return r, fmt.Errorf("%s does not say a format from 1 to %d, which are all that this version knows: start the version that made it, or if it is damaged delete this file",
			path, memberFormat)
	}
	return r, nil
}

// write puts r into dir, durably.
func (r *record) write(dir string) error {
	path := filepath.Join(dir, memberFile)
	if r.made == "" {
		r.made = time.Now().UTC().Format(time.RFC3339)
	}
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString(r.String())
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("say in %s whose data directory it is: %w", path, err)
	}
	return nil
}

// checkLog refuses a directory that has lost its log. snapshot says whether it has a snapshot.
func (n *Node) checkLog(snapshot, member bool) error {
	none, err := wal.Empty(n.logDir())
	if err != nil || !none || !snapshot && !member {
		return err
	}
	left := "everything"
	if snapshot {
		left = "what came after the snapshot"
	}
	return fmt.Errorf("the log in %s is missing, and with it writes that were acknowledged: put it back, or give up %s with: holdfast repair --data %s",
		n.logDir(), left, n.cfg.Dir)
}

// Repair makes a damaged data directory usable again by giving up what cannot be read, of which it keeps copies; report says in a few sentences what
// it did. No daemon may be using the directory.
func Repair(dir string) (report string, err error) {
	logs, snapshots := filepath.Join(dir, "log"), filepath.Join(dir, "snapshot")
	if !exists(logs) && !exists(snapshots) && !exists(filepath.Join(dir, memberFile)) {
		return "", fmt.Errorf("there is no data directory to repair at %s: name the one that the daemon uses", dir)
	}
	lock, err := takeDir(dir)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if r, err := readRecord(dir); err == nil && r.made != "" { // what is given up may have been acknowledged
		r.forgetful = true
		if err := r.write(dir); err != nil {
			return "", err
		}
	}
	report, err = repairSnapshots(snapshots)
	if err != nil {
		return "", err
	}
	none, err := wal.Empty(logs)
	if err != nil {
		return "", err
	}
	if !none {
		cut, err := wal.Repair(logs)
		if err != nil {
			return "", err
		}
		report += cut
		if none, err = wal.Empty(logs); err != nil || !none {
			return report, err
		}
		report += " "
	}
	begun, err := beginLog(logs, snapshots)
	return report + begun, err
}

// beginLog puts an empty log in place of one that is given up.
func beginLog(logs, snapshots string) (report string, err error) {
	l, err := wal.Open(logs, wal.Options{Segment: wal.MinSegment, Boot: bootID()}, func(wal.Record) error { return nil })
	if err != nil {
		return "", err
	}
	if err := l.Close(); err != nil {
		return "", err
	}
	all, err := listSnapshots(snapshots)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if len(all) == 0 {
		return fmt.Sprintf("An empty log was begun in %s: there is no snapshot either, the daemon will begin with nothing.", logs), nil
	}
	return fmt.Sprintf("An empty log was begun in %s: what came after the snapshot %s, entry %d, is given up.", logs, all[0].name, all[0].index), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
