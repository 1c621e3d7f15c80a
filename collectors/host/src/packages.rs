//! What apt and dnf print about pending updates, as pure parsers.

/// Pending updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// How many in all, where the answer tells.
    pub(crate) all: Option<usize>,
    /// `package version` of those that mend a security fault, sorted.
    pub(crate) security: Vec<String>,
    /// Updates that the answer mentions and does not show.
    pub(crate) kept_back: usize,
}

/// A simulated `apt-get dist-upgrade`: `Inst name [old] (new Label:release/suite, … [arch])` for each package, and a
/// line of counts, without which the answer is not whole.
pub(crate) fn apt(text: &str) -> Result<Pending, String> {
    let odd = || "apt-get: an answer that is not understood".to_owned();
    let mut pending = Pending::default();
    let mut lines = 0;
    let mut counts = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Inst ") {
            let (name, version, security) = apt_package(rest).ok_or_else(odd)?;
            lines += 1;
            if security {
                pending.security.push(format!("{name} {version}"));
            }
        } else if let Some(found) = apt_counts(line) {
            counts = Some(found);
        }
    }
    let (expected, kept_back) = counts.ok_or_else(odd)?;
    if expected != lines {
        return Err("apt-get: its counts and its list differ".to_owned());
    }
    pending.security.sort_unstable();
    pending.all = Some(lines);
    pending.kept_back = kept_back;
    Ok(pending)
}

fn apt_package(rest: &str) -> Option<(&str, &str, bool)> {
    let name = rest.split(' ').next().filter(|name| !name.is_empty())?;
    let (_, inside) = rest.split_once('(')?;
    let (inside, _) = inside.split_once(')')?;
    let (version, origins) = inside.split_once(' ')?;
    // Debian's label is Debian-Security; Ubuntu's suites end in -security, those of its paid archives too.
    let security = origins
        .split(", ")
        .filter_map(|origin| origin.split(' ').next())
        .any(|origin| origin.starts_with("Debian-Security:") || origin.ends_with("-security"));
    Some((name, version, security))
}

/// `78 upgraded, 1 newly installed, 2 downgraded, 0 to remove and 3 not upgraded.`: how many come in, how many stay.
fn apt_counts(line: &str) -> Option<(usize, usize)> {
    let line = line.strip_suffix(" not upgraded.")?;
    let (changes, kept_back) = line.rsplit_once(" and ")?;
    let mut coming = 0;
    for part in changes.split(", ") {
        let (number, what) = part.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match what {
            "to remove" => {}
            _ => coming += number,
        }
    }
    Some((coming, kept_back.parse().ok()?))
}

/// `dnf updateinfo list --security`: `ADVISORY Severity/Sec. package` (dnf 4), or a table with a heading (dnf 5).
/// Several advisories may name one package: the newest stands last, and each is listed.
pub(crate) fn dnf(text: &str) -> Result<Pending, String> {
    let mut pending = Pending::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields[..] {
            ["Name", "Type", "Severity", "Package", ..] => {}
            [_, kind, package] if kind.ends_with("/Sec.") => pending.security.push(package.to_owned()),
            [_, "security", _, package, _, _] => pending.security.push(package.to_owned()),
            _ => return Err("dnf updateinfo: an answer that is not understood".to_owned()),
        }
    }
    pending.security.sort_unstable();
    pending.security.dedup();
    Ok(pending)
}

/// `needs-restarting -r`: exit 1 also means that it failed, so the words must agree.
pub(crate) fn needs_restarting(exit: Option<i32>, text: &str) -> Result<bool, String> {
    let required = text.contains("Reboot is required");
    let unnecessary =
        text.contains("Reboot should not be necessary") || text.contains("Reboot is probably not necessary");
    match (exit, required, unnecessary) {
        (Some(1), true, false) => Ok(true),
        (Some(0), false, true) => Ok(false),
        _ => Err("needs-restarting -r: an answer that is not understood".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APT: &str = "\
Reading package lists...
The following packages will be upgraded:
  base-files libtiff6
1 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
Inst base-files [12.4+deb12u11] (12.4+deb12u14 Debian:12.14/oldstable [amd64])
Inst linux-image-6.1.0-44-amd64 (6.1.164-1 Debian:12.14/oldstable, Debian-Security:12/oldstable-security [amd64]) []
Conf base-files (12.4+deb12u14 Debian:12.14/oldstable [amd64])
";

    #[test]
    fn a_simulated_upgrade_shows_which_packages_come_from_a_security_archive() {
        let pending = apt(APT).unwrap();
        assert_eq!(pending.all, Some(2));
        assert_eq!(pending.security, ["linux-image-6.1.0-44-amd64 6.1.164-1"]);
        assert_eq!(pending.kept_back, 0);
    }

    #[test]
    fn an_answer_that_is_cut_short_is_not_taken_for_no_updates() {
        assert!(apt("").is_err());
        assert!(apt("Reading package lists...\n").is_err());
        assert!(apt(&APT.replace("Inst base", "Oops base")).is_err());
        assert_eq!(
            apt("0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n")
                .unwrap()
                .kept_back,
            3
        );
    }

    #[test]
    fn ubuntus_security_archives_are_known_by_their_suite() {
        assert!(
            apt_package("x [1] (2 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])")
                .unwrap()
                .2
        );
        assert!(
            apt_package("x [1] (2 UbuntuESMApps:24.04/noble-apps-security [amd64])")
                .unwrap()
                .2
        );
        assert!(
            !apt_package("x [1] (2 Ubuntu:24.04/noble-updates [amd64])")
                .unwrap()
                .2
        );
    }

    #[test]
    fn both_forms_of_dnf_are_read_and_messages_refused() {
        let four = "RHSA-2026:1001 Important/Sec. openssl-libs-1:3.2.2-6.el9.x86_64\n";
        let five = "Name              Type     Severity  Package                Issued\n\
                    FEDORA-2026-1 security Important curl-8.11.1-4.fc42.x86_64 2026-03-01 01:02:03\n";
        assert_eq!(dnf(four).unwrap().security, ["openssl-libs-1:3.2.2-6.el9.x86_64"]);
        assert_eq!(dnf(five).unwrap().security, ["curl-8.11.1-4.fc42.x86_64"]);
        assert!(dnf("Error: no cache\n").is_err());
        assert!(dnf("").unwrap().security.is_empty());
    }

    #[test]
    fn a_failed_needs_restarting_is_no_reboot_required() {
        assert_eq!(
            needs_restarting(Some(1), "Reboot is required to fully utilize these updates."),
            Ok(true)
        );
        assert_eq!(
            needs_restarting(Some(0), "Reboot should not be necessary."),
            Ok(false)
        );
        assert!(needs_restarting(Some(1), "No such command: needs-restarting.").is_err());
        assert!(needs_restarting(Some(0), "").is_err());
    }
}
