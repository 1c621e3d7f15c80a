# Boots systemd over a throw-away layer on top of the running system, in namespaces of its own.
#
#   unshare --mount --propagation private sh boot.sh WORK BINARY
#
# WORK/etc is laid over /etc, WORK/units over /etc/systemd/system; BINARY becomes /usr/bin/evidenced. WORK/results is
# /results inside, the only place whose contents outlive it. Nothing else of this machine can be written to.
set -eu
work=$1 binary=$2

if [ "${3-}" != inside ]; then
    # In a control group of its own, which is removed with all that systemd makes below it.
    mount -t cgroup2 cgroup2 "$work/cgroup"
    own=$work/cgroup/evidenced-boot-$$
    mkdir "$own"
    (
        echo 0 >"$own/cgroup.procs"
        exec timeout --kill-after=5 200 unshare --pid --fork --kill-child --mount --propagation private \
            --uts --ipc --cgroup --net /bin/sh "$0" "$work" "$binary" inside
    ) || :
    find "$own" -depth -type d -exec rmdir {} \;
    exit
fi

mount -t tmpfs -o mode=0755 tmpfs "$work/layers"
mkdir -m 0755 "$work/layers/upper" "$work/layers/scratch"
mount -t overlay -o "lowerdir=/,upperdir=$work/layers/upper,workdir=$work/layers/scratch" overlay "$work/root"
cd "$work/root"

# What the machine itself may hold of these.
rm -rf etc/evidenced var/lib/evidenced var/lib/private usr/bin/evidenced results
mkdir -p etc/systemd/system var/log dev proc sys run tmp results
cp -R "$work/etc/." etc/
touch usr/bin/evidenced
mount --bind "$binary" usr/bin/evidenced
mount --bind "$work/results" results

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs var/log
# None of the machine's own services.
mount -t tmpfs -o mode=0755 tmpfs etc/systemd/system
cp -R "$work/units/." etc/systemd/system/

mount -t tmpfs -o mode=0755 tmpfs dev
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s null dev/console

mkdir -p mnt
pivot_root . mnt
# It is busy for as long as this shell's program lies there.
umount -l /mnt
for systemd in /usr/lib/systemd/systemd /lib/systemd/systemd; do
    [ -x "$systemd" ] || continue
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other \
        "$systemd" --system --unit=probe.target --show-status=0 </dev/null
done
echo 'there is no systemd' >&2
exit 1
