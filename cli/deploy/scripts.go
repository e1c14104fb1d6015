package deploy

import "time"

// script is what runs on a host: POSIX shell. No value is ever put into its text, only into its arguments.
type script struct {
	within time.Duration
	text   string
}

// Where things are on a host.
const (
	configFile = "/etc/holdfast/holdfast.toml"
	configDir  = "/etc/holdfast/"
	uploaded   = "/var/cache/holdfast/package." // and the kind
)

// undoWithin bounds how long taking back what was written may take.
const undoWithin = 2 * time.Minute

// lookScript prints what holds on the host, a word and its values a line. Arguments: the names of all hosts.
var lookScript = script{time.Minute, `
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
say() { printf '%s\n' "$*"; }
say user "$(id -u)"
say arch "$(uname -m)"
[ -d /run/systemd/system ] && say systemd
if [ -e /var/lib/dpkg/status ]; then
	say kind deb
	v=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' holdfast 2>/dev/null)
	case $v in ii*) say installed "${v#ii }" ;; esac
elif command -v rpm >/dev/null; then
	say kind rpm
	v=$(rpm -q --qf '%{VERSION}-%{RELEASE}' holdfast 2>/dev/null) && say installed "$v"
fi
[ -f /var/cache/holdfast/installed ] && say by "$(head -n 1 /var/cache/holdfast/installed)"
systemctl -q is-active holdfast && say active
systemctl -q is-enabled holdfast 2>/dev/null && say enabled
for f in /etc/holdfast/*.pem; do
	[ -f "$f" ] && say file "$(sha256sum <"$f" | cut -d' ' -f1)" "$(stat -c %a:%G "$f") $f"
done
grep -qsE '^served$|format 1,' /var/lib/holdfast/member && say served
while read -r key value _; do
	case $key in MemTotal: | MemAvailable:) say "$key" "$value" ;; esac
done </proc/meminfo
say disk "$(df -Pk /var/lib | tail -n 1 | tr -s ' ' | cut -d' ' -f4)"
ip -o address 2>/dev/null | while read -r _ _ _ a _; do say address "${a%/*}"; done
if command -v ss >/dev/null; then
	say ss
	ss -Hltnp | while read -r _ _ _ a _ who; do say listens "$a" "$who"; done
	systemctl -q is-active pacemaker && managed=$(cibadmin -Q --xpath '//primitive[@class="systemd"]' 2>/dev/null)
	ss -Hltnp | grep -o 'pid=[0-9]*' | sort -u | while IFS== read -r _ p; do
		u=$(sed -n 's|.*/\([^/]*\.service\)$|\1|p' "/proc/$p/cgroup" 2>/dev/null | head -n 1)
		[ -n "$u" ] && say unit "$p" "$u" "$(case ${managed-} in *"type=\"${u%.service}\""*) echo pacemaker ;; esac)"
		[ "$(basename "$(readlink "/proc/$p/exe")")" = 'holdfast (deleted)' ] && say stale
	done
fi
for n; do
	getent ahosts "$n" | while read -r a kind _; do [ "$kind" = STREAM ] && say name "$n" "$a"; done
done
if systemctl -q is-active pacemaker; then
	say pacemaker "$(crm_node -n)"
	command -v pcs >/dev/null && say pcs
	c=$(cibadmin -Q --xpath '//clone[primitive[@type="holdfast"]]' 2>/dev/null) &&
		say clone "$(printf '%s\n' "$c" | sed -n 's/.*<clone [^>]*id="\([^"]*\)".*/\1/p' | head -n 1)"
fi
true
`}

// clockScript prints the host's time.
var clockScript = script{20 * time.Second, `date +%s.%N`}

// readConfig prints the configuration file, if there is one.
var readConfig = script{20 * time.Second, `if [ -e "$1" ]; then cat "$1"; fi`}

// askStatus prints what the daemon says of itself and its group as JSON, or nothing.
var askStatus = script{20 * time.Second, `if command -v holdfast >/dev/null; then holdfast status -o json --config "$1" 2>/dev/null; fi; true`}

// showStatus prints the same for people.
var showStatus = script{20 * time.Second, `holdfast status --config /etc/holdfast/holdfast.toml; true`}

// uploadScript writes its input to a file, if it is what it should be. Arguments: file, SHA-256.
var uploadScript = script{10 * time.Minute, `
set -eu
mkdir -p "${1%/*}"
cat >"$1.new"
if [ "$(sha256sum <"$1.new" | cut -d' ' -f1)" != "$2" ]; then rm -f "$1.new"; echo "the copy is not what was sent" >&2; exit 1; fi
mv -f "$1.new" "$1"
`}

// installScript installs an uploaded package and notes which that was. The configuration file stays as it is. Arguments: kind, file, SHA-256.
// An upgrade restarts the daemon if systemd runs it.
var installScript = script{10 * time.Minute, `
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
rm -f /var/cache/holdfast/installed
why() { printf '%s\n' "$log" | grep -i -m 1 -A 1 error | tr -s '\n ' ' ' >&2; exit 1; }
case $1 in
deb)
	log=$(dpkg --force-confdef --force-confold -i "$2" 2>&1) || why
	v=$(dpkg-query -W -f '${Version}' holdfast) ;;
rpm)
	log=$(rpm -U --force "$2" 2>&1) || why
	v=$(rpm -q --qf '%{VERSION}-%{RELEASE}' holdfast) ;;
esac
printf '%s %s\n' "$3" "$v" >/var/cache/holdfast/installed
rm -f "$2"
echo "$v"
`}

// writeScript writes its input to a file. Beside it stays what was there before, or an empty file that says that there was none: without either nothing
// has been replaced. Arguments: file, mode, SHA-256.
var writeScript = script{time.Minute, `
set -eu
umask 077
mkdir -p -m 755 "${1%/*}"
rm -f "$1.before-deploy" "$1.not-before-deploy"
cat >"$1.new"
if [ "$(sha256sum <"$1.new" | cut -d' ' -f1)" != "$3" ]; then rm -f "$1.new"; echo "the copy is not what was sent" >&2; exit 1; fi
chown root:holdfast "$1.new"
chmod "$2" "$1.new"
if [ -e "$1" ]; then ln "$1" "$1.before-deploy"; else : >"$1.not-before-deploy"; fi
mv -f "$1.new" "$1"
`}

// restoreScript puts back what writeScript replaced, if it has. Argument: file.
var restoreScript = script{time.Minute, `
rm -f "$1.new"
if [ "$1" -ef "$1.before-deploy" ]; then
	rm -f "$1.before-deploy"
elif [ -e "$1.before-deploy" ]; then
	mv -f "$1.before-deploy" "$1"
elif [ -e "$1.not-before-deploy" ]; then
	rm -f "$1" "$1.not-before-deploy"
fi
`}

// keepScript forgets what writeScript replaced. Arguments: files.
var keepScript = script{time.Minute, `for f; do rm -f "$f.before-deploy" "$f.not-before-deploy"; done`}

// removeScript takes an uploaded file away. Argument: file.
var removeScript = script{time.Minute, `rm -f "$1" "$1.new"`}

// checkScript has the installed version say what is wrong with a configuration file. Argument: file.
var checkScript = script{20 * time.Second, `holdfast config check "$1"`}

// lastWordsScript prints the last thing that the daemon complained of in the last minutes, whoever started it.
var lastWordsScript = script{20 * time.Second, lastWords}

const lastWords = `journalctl -t holdfast --since -5min -o cat --no-pager 2>/dev/null | grep '^holdfast: \|level=ERROR' | tail -n 1`

// startScript starts the unit, now and at every boot. The last line of a failure is the daemon's own.
var startScript = script{90 * time.Second, `
systemctl -q enable holdfast || exit 1
timeout 60 systemctl restart holdfast || {` + lastWords + `}
`}

// stopScript stops the unit, now and for good.
var stopScript = script{90 * time.Second, `systemctl -q disable --now holdfast`}

// drainScript has the daemon give away what the others would wait for.
var drainScript = script{time.Minute, `holdfast drain --config "$1"`}

// restartScript restarts a drained daemon. Argument: the clone that it is, if Pacemaker runs it.
var restartScript = script{3 * time.Minute, `
if [ -n "$1" ]; then timeout 150 pcs resource restart "$1" "$(crm_node -n)" >&2; else timeout 90 systemctl restart holdfast || {` + lastWords + `}; fi
`}

// cloneScript has Pacemaker run the daemon on all its nodes, as docs/pacemaker.md has it, but not yet on those that are the arguments.
var cloneScript = script{3 * time.Minute, `
set -eu
if [ $# -eq 0 ]; then set -- ''; else pcs_disabled=--disabled; fi
pcs resource create holdfast ocf:holdfast:holdfast meta requires=nothing clone interleave=true ${pcs_disabled-} >&2
[ -n "$1" ] || exit 0
for node; do pcs resource ban holdfast-clone "$node" >&2; done
pcs resource enable holdfast >&2
`}

// uncloneScript takes that back.
var uncloneScript = script{3 * time.Minute, `timeout 150 pcs resource delete holdfast >&2`}

// allowScript has Pacemaker run the daemon on this host, where systemd did. Argument: the clone.
var allowScript = script{3 * time.Minute, `
systemctl -q disable --now holdfast && pcs resource clear "$1" "$(crm_node -n)" >&2
`}

// cleanupScript has Pacemaker try again on this host. Argument: the clone.
var cleanupScript = script{3 * time.Minute, `
pcs resource enable "$1" >&2
timeout 150 pcs resource cleanup "$1" node="$(crm_node -n)" >&2
`}

// leaveScript takes the unit from systemd: it starts no daemon at a boot.
var leaveScript = script{time.Minute, `systemctl -q disable holdfast`}
