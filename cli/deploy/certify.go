package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"holdfast/cli/cert"
)

// renewBefore is how long before its end a certificate is replaced.
const renewBefore = 90 * 24 * time.Hour

// planCertificates says whether a host needs new files, without making any.
func (d *deployment) planCertificates(h *host) error {
	authority, err := d.Keeper.Read(Authority)
	if err != nil {
		return err
	}
	there := h.facts.files[configDir+Authority+".pem"].sha256
	if there != "" && there != sum(authority.Cert) {
		return fmt.Errorf("the authority in %s there is not the one in %s: name the directory of the one that made it with --dir; to give up that group, remove %s",
			configDir+Authority+".pem", d.Keeper.Where(), configDir+"*.pem")
	}
	own, err := d.Keeper.Read(h.Name)
	if err != nil {
		return err
	}
	fresh, err := d.fresh(own)
	h.plan.certify = !fresh || len(h.missing(authority, own)) > 0
	return err
}

// fresh says whether a certificate is there and will be good for a while.
func (d *deployment) fresh(p cert.Pair) (bool, error) {
	if len(p.Cert) == 0 {
		return false, nil
	}
	ends, err := p.Ends()
	if err != nil {
		return false, fmt.Errorf("in %s: %w", d.Keeper.Where(), err)
	}
	return time.Until(ends) > renewBefore, nil
}

// missing are the files that the host does not have, or has otherwise: a key that the daemon cannot read is as good as none.
func (h *host) missing(authority, own cert.Pair) (all []file) {
	for _, f := range []file{
		{configDir + Authority + ".pem", "644", authority.Cert},
		{configDir + h.Name + ".pem", "644", own.Cert},
		{configDir + h.Name + "-key.pem", "640", own.Key}, // the daemon's group reads it
	} {
		if h.facts.files[f.path] != (onHost{sum(f.text), f.mode + ":holdfast"}) {
			all = append(all, f)
		}
	}
	return all
}

// certify makes the certificates that are missing, and notes which files go to which host.
func (d *deployment) certify() error {
	for _, h := range d.hosts {
		if !h.plan.certify {
			continue
		}
		err := d.step(h, "certificate", "", func() (string, error) { return "kept in " + d.Keeper.Where(), d.certifyOne(h) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) certifyOne(h *host) error {
	authority, err := d.Keeper.Read(Authority)
	if err == nil && len(authority.Cert) == 0 {
		if authority, err = cert.Authority(time.Now()); err == nil {
			err = d.Keeper.Write(Authority, authority)
		}
	}
	if err != nil {
		return err
	}
	own, err := d.Keeper.Read(h.Name)
	if err != nil {
		return err
	}
	fresh, err := d.fresh(own)
	if err == nil && !fresh {
		if own, err = authority.Member(h.Name, []string{h.plan.address.String()}, time.Now()); err == nil {
			err = d.Keeper.Write(h.Name, own)
		}
	}
	h.plan.files = h.missing(authority, own)
	return err
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
