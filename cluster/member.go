package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/cluster/wal"
)

// The file DATA/member says since when the directory has been a member's. One that has it, or a snapshot, had a log too: when there is none
// it was lost, and with it writes that had been acknowledged.
const (
	memberFile   = "member"
	memberFormat = 1
	memberText   = "holdfast data directory, format %d, made %s\n"
)

// member says whether the directory has been a member's before.
func (n *Node) member() (bool, error) {
	path := filepath.Join(n.cfg.Dir, memberFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read which format the data directory has: %w", err)
	}
	var format int
	var made string
	if _, err := fmt.Sscanf(string(b), memberText, &format, &made); err != nil || format != memberFormat {
		return false, fmt.Errorf("%s does not say format %d, the only one that this version knows: start the version that made it, or if it is damaged delete this file",
			path, memberFormat)
	}
	return true, nil
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

// join makes the directory a member's, durably. The log must be there already.
func (n *Node) join() error {
	path := filepath.Join(n.cfg.Dir, memberFile)
	text := fmt.Sprintf(memberText, memberFormat, n.cfg.Wall().UTC().Format(time.RFC3339))
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(n.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("say in %s that the directory is in use from now on: %w", path, err)
	}
	return nil
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
