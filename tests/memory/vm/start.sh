#!/usr/bin/env bash
# Starts the virtual machine, within the container of its image. /vm has init.sh, cases, and the programs supervisor and hog.
set -euo pipefail

root=$(mktemp -d)
chmod 0755 "$root"
mkdir "$root"/{bin,dev,proc,run,sys}
cp /bin/busybox "$root/bin/"
# Those of busybox know neither cgroup namespaces nor users.
for program in /usr/bin/unshare /usr/bin/setpriv; do
    mapfile -t libraries < <(ldd "$program" | grep -o '/[^ ]*')
    cp -L --parents "$program" "${libraries[@]}" "$root"
done
cp /vm/cases /vm/supervisor /vm/hog "$root"
install -m 0755 /vm/init.sh "$root/init"
(cd "$root" && find . | cpio --quiet --create --format newc) >/tmp/initramfs
# A file on an initramfs or a tmpfs could not be reclaimed, so the cache is filled from a disk.
truncate --size 512M /tmp/disk

# Without KVM, which machines of CI seldom have. This processor has no fast string instructions: they are emulated bytewise.
exec timeout 600 qemu-system-x86_64 -accel tcg,thread=multi -cpu qemu64 -smp 2 -m 768 -nodefaults -no-reboot -display none \
    -serial stdio -kernel /vmlinuz -initrd /tmp/initramfs -append 'console=ttyS0 quiet loglevel=0 panic=-1' \
    -drive file=/tmp/disk,if=none,id=disk,format=raw -device nvme,drive=disk,serial=disk
