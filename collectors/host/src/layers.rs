//! Whether a block device lies on dm-crypt, by following the kernel's layers (`/sys/class/block`) down to the disks.
//!
//! Encrypted means: on every path down there is a dm-crypt device. Volume groups, RAID, partitions of either and
//! several devices of one file system are followed. What encrypts elsewhere (self-encrypting drives, fscrypt, a
//! cloud's volumes) is not seen here.

use crate::inspection::Inspection;

/// dm-crypt's own kinds, as cryptsetup names them. Its CRYPT-VERITY and CRYPT-INTEGRITY do not encrypt.
const ENCRYPTING: &[&str] = &[
    "CRYPT-LUKS1-",
    "CRYPT-LUKS2-",
    "CRYPT-PLAIN-",
    "CRYPT-LOOPAES-",
    "CRYPT-TCRYPT-",
    "CRYPT-BITLK-",
    "CRYPT-FVAULT2-",
];
const DEPTH: usize = 16;

/// What lies below a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// dm-crypt on each path.
    Encrypted,
    /// At least one path reaches a disk without.
    Plain,
    /// It can't be told, and why.
    Unknown(String),
}

impl Ground {
    /// A plain path outranks an unknown one: data may lie on it.
    pub(crate) fn join(grounds: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Self::Encrypted;
        for ground in grounds {
            match (&joined, &ground) {
                (_, Self::Plain) => return Self::Plain,
                (Self::Encrypted, Self::Unknown(_)) => joined = ground,
                _ => {}
            }
        }
        joined
    }
}

/// Follows a device by its kernel name (`dm-0`, `sda2`), noting the calls.
pub(crate) fn ground(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, name: &str) -> Ground {
    descend(inspection, calls, name, DEPTH)
}

fn descend(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, name: &str, depth: usize) -> Ground {
    if depth == 0 {
        return Ground::Unknown(format!("{name}: over {DEPTH} layers of block devices"));
    }
    if name.starts_with("loop") {
        return Ground::Unknown(format!(
            "{name} is a loop device over a file, which is not followed"
        ));
    }
    let folder = format!("/sys/class/block/{name}");
    let kind = inspection.read(&format!("{folder}/dm/uuid"));
    calls.push(kind.call);
    match kind.known() {
        Ok(uuid) if ENCRYPTING.iter().any(|prefix| uuid.starts_with(prefix)) => return Ground::Encrypted,
        Err(reason) if !kind.is_absent() => return Ground::Unknown(reason),
        _ => {}
    }
    let below = inspection.list(&format!("{folder}/slaves"));
    calls.push(below.call);
    match below.known() {
        Ok(names) if names.is_empty() && kind.answer.is_ok() => {
            Ground::Unknown(format!("{name}: a mapped device over none that the kernel names"))
        }
        Ok(names) if names.is_empty() => Ground::Plain,
        Ok(names) => Ground::join(
            names
                .iter()
                .map(|name| descend(inspection, calls, name, depth - 1))
                .collect::<Vec<_>>(),
        ),
        Err(_) if below.is_absent() => partition(inspection, calls, name, depth),
        Err(reason) => Ground::Unknown(reason),
    }
}

/// A partition has no layers of its own: those of its whole device hold.
fn partition(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, name: &str, depth: usize) -> Ground {
    let number = inspection.read(&format!("/sys/class/block/{name}/partition"));
    let link = inspection.link(&format!("/sys/class/block/{name}"));
    calls.extend([number.call, link.call]);
    let whole = number.known().and(link.known()).map(|target| {
        let mut parts = target.rsplit('/');
        parts.next();
        parts.next().map(str::to_owned)
    });
    match whole {
        Ok(Some(whole)) => descend(inspection, calls, &whole, depth - 1),
        Ok(None) => Ground::Unknown(format!("{name}: a partition of no device that the kernel names")),
        Err(reason) => Ground::Unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plain_path_makes_all_plain_and_one_unknown_path_leaves_it_unknown() {
        let unknown = Ground::Unknown("why".to_owned());
        assert_eq!(
            Ground::join([Ground::Encrypted, Ground::Encrypted]),
            Ground::Encrypted
        );
        assert_eq!(Ground::join([unknown.clone(), Ground::Plain]), Ground::Plain);
        assert_eq!(Ground::join([unknown.clone(), Ground::Encrypted]), unknown);
    }
}
