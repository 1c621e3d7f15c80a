//! Which system this is: distribution, kernel, and whether it is a virtual machine.

use evidenced_collector_api::Resource;

use crate::container::Confinement;
use crate::inspection::Inspection;

/// Vendors whose bare machines have volumes that are encrypted, or not, below the host's sight.
const CLOUD_VENDORS: &[&str] = &["Amazon EC2", "Google", "Google Cloud", "Alibaba Cloud"];

/// What other facts rest on.
pub(crate) struct System {
    pub(crate) resource: Resource,
    /// ID and `ID_LIKE` of the distribution.
    pub(crate) family: Result<Vec<String>, String>,
    /// Whether volumes may be encrypted below the host's sight, as in clouds; or why that can't be told.
    pub(crate) hosted: Result<bool, String>,
    /// The calls that the family and `hosted` come from.
    pub(crate) family_calls: Vec<usize>,
    pub(crate) hosted_calls: Vec<usize>,
}

pub(crate) async fn system(inspection: &mut Inspection<'_>, name: &str, confinement: &Confinement) -> System {
    let identity = inspection.machine.identity();
    let mut resource = Resource::new("host.system", name, name, 0);
    resource.call.clone_from(&confinement.calls);
    resource = match &confinement.container {
        Ok((container, how)) => resource
            .with("container", *container)
            .with("container_how", how.as_str()),
        Err(reason) => resource
            .with_result("container", Err::<bool, _>(reason.clone()))
            .with_result("container_how", Err::<bool, _>(reason.clone())),
    };
    if let Some(reason) = confinement.obstacle() {
        for attribute in UNSEEN_IN_CONTAINER {
            resource.unknown.insert((*attribute).to_owned(), reason.clone());
        }
        return System {
            resource,
            family: Err(reason.clone()),
            hosted: Err(reason),
            family_calls: Vec::new(),
            hosted_calls: Vec::new(),
        };
    }
    let mut release = inspection.read("/etc/os-release");
    let mut family_calls = vec![release.call];
    if release.is_absent() {
        release = inspection.read("/usr/lib/os-release");
        family_calls.push(release.call);
    }
    resource.call.extend(&family_calls);
    let text = release.known().cloned();
    if let Ok(text) = &text {
        inspection.keep(release.call, text.as_str());
    }
    let field = |key: &str| {
        let text = text.clone()?;
        assignment(&text, key).ok_or_else(|| format!("{}: has no {key}", release.what))
    };
    let boot = inspection.read("/proc/sys/kernel/random/boot_id");
    resource.call.push(boot.call);
    let mut hosted_calls = Vec::new();
    let (kind, vendor) = virtualisation(inspection, &mut hosted_calls).await;
    resource.call.extend(&hosted_calls);
    let hosted = match (&kind, &vendor) {
        (Ok(kind), Ok(vendor)) if kind == "none" => Ok(CLOUD_VENDORS.contains(&vendor.as_str())),
        (Ok(kind), _) => Ok(kind != "none"),
        (Err(reason), _) => Err(reason.clone()),
    };
    let family = field("ID").map(|id| {
        let like = field("ID_LIKE").unwrap_or_default();
        std::iter::once(id)
            .chain(like.split_whitespace().map(str::to_owned))
            .collect()
    });
    resource = resource
        .with_result("os_id", field("ID"))
        .with_result("os_version", field("VERSION_ID"))
        .with_result("os_name", field("PRETTY_NAME"))
        .with("kernel_release", identity.release)
        .with("architecture", identity.architecture)
        .with_result("virtual_machine", kind.clone().map(|kind| kind != "none"))
        .with_result("virtualisation", kind)
        .with_result("hardware_vendor", vendor)
        .with_result("boot_id", boot.known().map(|id| id.trim().to_owned()));
    System {
        resource,
        family,
        hosted,
        family_calls,
        hosted_calls,
    }
}

const UNSEEN_IN_CONTAINER: &[&str] = &[
    "os_id",
    "os_version",
    "os_name",
    "kernel_release",
    "architecture",
    "virtual_machine",
    "virtualisation",
    "hardware_vendor",
    "boot_id",
];

/// The kind of virtual machine, `none` on bare metal, and the hardware's vendor.
async fn virtualisation(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
) -> (Result<String, String>, Result<String, String>) {
    let detected = inspection.command("systemd-detect-virt", &["--vm"], 10).await;
    let vendor = inspection.read("/sys/class/dmi/id/sys_vendor");
    let processors = inspection.read("/proc/cpuinfo");
    calls.extend([detected.call, vendor.call, processors.call]);
    let vendor = vendor.known().map(|vendor| vendor.trim().to_owned());
    // It answers "none" with exit 1.
    if let Ok(output) = &detected.answer
        && let Some(kind) = word(&output.stdout)
        && (output.exit == Some(0)) != (kind == "none")
    {
        return (Ok(kind), vendor);
    }
    let kind = match processors.known().map(|text| hypervisor_flag(text)) {
        Ok(Some(true)) => Ok("unnamed".to_owned()),
        Ok(Some(false)) if vendor.is_ok() => Ok("none".to_owned()),
        Ok(_) => Err(
            "neither systemd-detect-virt nor /proc/cpuinfo tells whether this is a virtual machine"
                .to_owned(),
        ),
        Err(reason) => Err(reason),
    };
    (kind, vendor)
}

fn word(stdout: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(stdout).ok()?.trim();
    let good =
        !text.is_empty() && text.len() < 32 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    good.then(|| text.to_owned())
}

/// Whether x86 processors say that a hypervisor runs them; none on other architectures.
fn hypervisor_flag(cpuinfo: &str) -> Option<bool> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    Some(flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// A value of a file of shell assignments, unquoted.
fn assignment(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?
        .trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let value = unquoted
        .replace("\\\"", "\"")
        .replace("\\$", "$")
        .replace("\\\\", "\\");
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_values_are_unquoted_and_keys_matched_whole() {
        let text =
            "PRETTY_NAME=\"Say \\\"hi\\\"\"\nVERSION_ID='9.4'\nID=rocky\nID_LIKE=\"rhel centos\"\nVARIANT=\n";
        assert_eq!(assignment(text, "PRETTY_NAME").unwrap(), "Say \"hi\"");
        assert_eq!(assignment(text, "VERSION_ID").unwrap(), "9.4");
        assert_eq!(assignment(text, "ID").unwrap(), "rocky");
        assert_eq!(assignment(text, "VARIANT"), None);
        assert_eq!(assignment(text, "VERSION"), None);
    }

    #[test]
    fn the_hypervisor_flag_is_a_word_and_absent_on_other_architectures() {
        assert_eq!(hypervisor_flag("flags\t\t: fpu hypervisor lm"), Some(true));
        assert_eq!(hypervisor_flag("flags\t\t: fpu lm"), Some(false));
        assert_eq!(hypervisor_flag("Features : fp asimd"), None);
    }
}
