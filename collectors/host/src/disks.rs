//! File systems on block devices, and whether they lie on dm-crypt.
//!
//! One resource per file system, named by its mount point: bind mounts of the same one are not repeated, or a
//! service manager's sandbox would look like a change. Left out: file systems without a disk of this host (proc,
//! tmpfs, NFS), and read-only images (squashfs, as snaps use it, and iso9660).

use evidenced_collector_api::Resource;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::inspection::{Inspection, Noted};
use crate::layers::{Ground, ground};
use crate::os::System;

const IMAGES: &[&str] = &["squashfs", "iso9660", "erofs", "cramfs", "romfs", "udf"];
/// On block devices, though the kernel numbers them as if they were not.
const OWN_NUMBERS: &[&str] = &["btrfs", "zfs", "bcachefs"];
const BOOT: &[&str] = &["/boot", "/efi"];

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `major:minor`.
    pub(crate) device: String,
    /// Which folder of the file system is mounted.
    pub(crate) root: String,
    pub(crate) point: String,
    pub(crate) fs_type: String,
    pub(crate) source: String,
}

impl Mount {
    pub(crate) fn on_block_device(&self) -> bool {
        !self.device.starts_with("0:")
    }

    fn is_population(&self) -> bool {
        let image = IMAGES.contains(&self.fs_type.as_str());
        let live_root = self.fs_type == "overlay" && self.point == "/";
        let memory = self.source.starts_with("/dev/zram") || self.source.starts_with("/dev/ram");
        let counted = self.on_block_device() || OWN_NUMBERS.contains(&self.fs_type.as_str()) || live_root;
        counted && !image && !memory
    }

    /// The same for all mounts of one file system.
    fn file_system(&self) -> (&str, &str) {
        let source = if self.fs_type == "zfs" {
            self.source.as_str()
        } else {
            ""
        };
        (&self.device, source)
    }
}

/// The mounts in order, and how many lines were not understood.
pub(crate) fn mounts(mountinfo: &str) -> (Vec<Mount>, usize) {
    let mut odd = 0;
    let mounts = mountinfo
        .lines()
        .filter_map(|line| {
            let mount = mount(line);
            odd += usize::from(mount.is_none());
            mount
        })
        .collect();
    (mounts, odd)
}

/// `36 35 98:0 /root /point options optional… - type source options`, spaces in names as `\040`.
fn mount(line: &str) -> Option<Mount> {
    let (own, shared) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(2);
    let (device, root, point) = (own.next()?, own.next()?, own.next()?);
    let (major, minor) = device.split_once(':')?;
    major.parse::<u32>().ok()?;
    minor.parse::<u32>().ok()?;
    let mut shared = shared.split(' ');
    let (fs_type, source) = (shared.next()?, shared.next()?);
    (point.starts_with('/') && !fs_type.is_empty()).then(|| Mount {
        device: device.to_owned(),
        root: unescaped(root),
        point: unescaped(point),
        fs_type: fs_type.to_owned(),
        source: unescaped(source),
    })
}

fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One mount for each file system: of its whole before a part of it, then the shortest mount point.
fn file_systems(mounts: &[Mount]) -> BTreeMap<String, Mount> {
    // A later mount on the same point hides the earlier.
    let visible: BTreeMap<&str, &Mount> = mounts.iter().map(|mount| (mount.point.as_str(), mount)).collect();
    let mut chosen: BTreeMap<(&str, &str), &Mount> = BTreeMap::new();
    for mount in visible.into_values().filter(|mount| mount.is_population()) {
        let rank = |mount: &Mount| (mount.root != "/", mount.point.len());
        chosen
            .entry(mount.file_system())
            .and_modify(|best| {
                if rank(mount) < rank(best) {
                    *best = mount;
                }
            })
            .or_insert(mount);
    }
    chosen
        .into_values()
        .map(|mount| (mount.point.clone(), mount.clone()))
        .collect()
}

pub(crate) fn resources(
    inspection: &mut Inspection<'_>,
    data_mounts: Option<&[PathBuf]>,
    system: &System,
) -> Vec<Resource> {
    let table = inspection.read("/proc/self/mountinfo");
    let all = match table.known() {
        Ok(text) => {
            let (mounts, odd) = mounts(text);
            if odd > 0 || !mounts.iter().any(|mount| mount.point == "/") {
                inspection.shortfalls.push(format!(
                    "{} holds lines that are not understood, or no root",
                    table.what
                ));
            }
            inspection.counted(table.call, mounts.len());
            inspection.keep(table.call, text.as_str());
            mounts
        }
        Err(reason) => {
            inspection.shortfalls.push(reason);
            Vec::new()
        }
    };
    let chosen = file_systems(&all);
    let mut resources: Vec<Resource> = chosen
        .values()
        .map(|mount| {
            let same = |path: &PathBuf| {
                all.iter().any(|other| {
                    other.file_system() == mount.file_system() && Path::new(&other.point) == path
                })
            };
            let data = data_mounts.map_or_else(|| !is_boot(&mount.point), |paths| paths.iter().any(same));
            resource(inspection, table.call, mount, system).with("data", data)
        })
        .collect();
    resources.extend(missing(&table, &all, data_mounts.unwrap_or_default()));
    resources
}

/// What the settings call a data mount and is none now must be seen: it may be unencrypted elsewhere, or lost.
fn missing(table: &Noted<String>, all: &[Mount], data_mounts: &[PathBuf]) -> Vec<Resource> {
    let paths: std::collections::BTreeSet<&Path> = data_mounts.iter().map(PathBuf::as_path).collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let mounted = all.iter().rev().find(|mount| Path::new(&mount.point) == path);
            let reason = match mounted {
                Some(mount) if mount.is_population() => return None,
                Some(mount) => format!(
                    "a {} file system, not on a block device of this host",
                    mount.fs_type
                ),
                None => "the settings call it a data mount, and nothing is mounted there".to_owned(),
            };
            let id = path.display().to_string();
            let unknown = || Err::<String, _>(reason.clone());
            Some(
                Resource::new("host.mount", &id, &id, table.call)
                    .with("data", true)
                    .with("mounted", mounted.is_some())
                    .with_result("source", unknown())
                    .with_result("fs_type", unknown())
                    .with_result("encrypted", unknown()),
            )
        })
        .collect()
}

fn is_boot(point: &str) -> bool {
    BOOT.iter().any(|boot| Path::new(point).starts_with(boot))
}

fn resource(inspection: &mut Inspection<'_>, table: usize, mount: &Mount, system: &System) -> Resource {
    let mut resource = Resource::new("host.mount", &mount.point, &mount.point, table)
        .with("source", mount.source.as_str())
        .with("fs_type", mount.fs_type.as_str())
        .with("mounted", true);
    let encrypted = match beneath(inspection, &mut resource.call, mount) {
        Ground::Encrypted => Ok(true),
        Ground::Unknown(reason) => Err(reason),
        Ground::Plain if mount.fs_type == "f2fs" => {
            Err("no dm-crypt on this volume, and f2fs may encrypt its files itself".to_owned())
        }
        Ground::Plain => match &system.hosted {
            Ok(false) => Ok(false),
            Ok(true) => Err(
                "no dm-crypt on this volume, and the hypervisor or cloud may encrypt below the host's sight"
                    .to_owned(),
            ),
            Err(reason) => Err(format!(
                "no dm-crypt on this volume, and a hypervisor or cloud, if there is one, may encrypt below: {reason}"
            )),
        },
    };
    resource.call.extend(&system.hosted_calls);
    resource.with_result("encrypted", encrypted)
}

fn beneath(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, mount: &Mount) -> Ground {
    match mount.fs_type.as_str() {
        "zfs" => Ground::Unknown("ZFS encrypts its datasets itself, which is not read".to_owned()),
        "overlay" => Ground::Unknown("an overlay, whose layers may lie on several file systems".to_owned()),
        "bcachefs" => Ground::Unknown("bcachefs encrypts itself, which is not read".to_owned()),
        "btrfs" => btrfs(inspection, calls, &mount.source),
        _ => {
            let link = inspection.link(&format!("/sys/dev/block/{}", mount.device));
            calls.push(link.call);
            match link.known() {
                Ok(target) => ground(inspection, calls, last(target)),
                Err(reason) => Ground::Unknown(reason),
            }
        }
    }
}

/// btrfs spans devices, which it lists under its own id; the mount names one of them.
fn btrfs(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, source: &str) -> Ground {
    let link = inspection.link(source);
    calls.push(link.call);
    // Only names under /dev/mapper and the like are links.
    let name = link
        .answer
        .map_or(last(source).to_owned(), |target| last(&target).to_owned());
    let systems = inspection.list("/sys/fs/btrfs");
    calls.push(systems.call);
    let ids = match systems.known() {
        Ok(ids) => ids.clone(),
        Err(reason) => return Ground::Unknown(reason),
    };
    for id in ids.iter().filter(|id| id.contains('-')) {
        let devices = inspection.list(&format!("/sys/fs/btrfs/{id}/devices"));
        calls.push(devices.call);
        if let Ok(names) = &devices.answer
            && names.contains(&name)
        {
            let grounds: Vec<_> = names.iter().map(|name| ground(inspection, calls, name)).collect();
            return Ground::join(grounds);
        }
    }
    Ground::Unknown(format!("{source}: no btrfs under /sys/fs/btrfs names it"))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 27 0:21 / /proc rw - proc proc rw
27 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
28 27 253:1 /var/lib/e /run/sandbox/e rw shared:1 master:2 - ext4 /dev/mapper/vg-root rw
29 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw
30 27 8:17 / /mnt/two\\040words rw - xfs /dev/sdb1 rw
31 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
32 27 0:40 / /srv rw - nfs4 server:/srv rw
";

    #[test]
    fn a_file_system_is_named_once_by_the_mount_of_its_whole() {
        let (all, odd) = mounts(TABLE);
        assert_eq!((all.len(), odd), (7, 0));
        let points: Vec<_> = file_systems(&all).into_keys().collect();
        assert_eq!(points, ["/", "/boot/efi", "/mnt/two words"]);
    }

    #[test]
    fn lines_that_are_not_mountinfo_are_counted() {
        assert_eq!(
            mounts("garbage\n1 2 x:y / / rw - ext4 /dev/sda rw\n"),
            (Vec::new(), 2)
        );
        assert_eq!(mounts(&TABLE[..60]).1, 1);
    }

    #[test]
    fn octal_escapes_and_lone_backslashes_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped("a\\040b\\134c"), "a b\\c");
        assert_eq!(unescaped("a\\9"), "a\\9");
    }
}
