# The first process of a host, until it becomes systemd.
# $ROOT: the overlay. Arguments: pairs of a path here and a path in the host.
set -e
mkdir -p "$ROOT/.old"
cd "$ROOT"
pivot_root . .old
cd /
mount -t proc -o nosuid,nodev,noexec proc /proc
# What is not per namespace belongs to the machine: read-only.
for p in sys bus fs irq sysrq-trigger; do
	[ ! -e /proc/$p ] || mount --bind /proc/$p /proc/$p
done
mount --bind /proc/sys/net /proc/sys/net
mount --bind "/.old$BOOT_ID" /proc/sys/kernel/random/boot_id
for p in sys bus fs irq sysrq-trigger sys/kernel/random/boot_id; do
	[ ! -e /proc/$p ] || mount -o remount,bind,ro,nosuid,nodev,noexec /proc/$p
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
mount -t tmpfs -o mode=755,nosuid tmpfs /dev
for d in null zero full random urandom tty; do
	: >/dev/$d
	mount --bind /.old/dev/$d /dev/$d
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mkdir /run/host
: >/run/host/notify
mount --bind "/.old$NOTIFY" /run/host/notify
hostname "$NAME"
while [ $# -ge 2 ]; do
	if [ -d "/.old$1" ]; then
		mkdir -p "$2"
	else
		mkdir -p "$(dirname "$2")"
		[ -e "$2" ] || : >"$2"
	fi
	mount --bind "/.old$1" "$2"
	mount -o remount,bind,ro "$2"
	shift 2
done
umount -l /.old
rmdir /.old
# Without it LoadCredential= silently delivers nothing.
mount --make-rshared /
exec env -i container=switcheroo NOTIFY_SOCKET=/run/host/notify TERM=dumb \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	"$SYSTEMD" --unit="$TARGET" --log-target=journal --show-status=false
