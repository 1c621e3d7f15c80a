//! Listening sockets of this network namespace: TCP in LISTEN, and UDP bound without a peer.
//!
//! UDP has no listening state. A port that the kernel hands out by itself (`ip_local_port_range` without
//! `ip_local_reserved_ports`) is taken to belong to a client, such as a resolver's query, and left out, or every
//! run would show another list. A UDP service on such a port shows once the port is reserved.
//!
//! The tables also hold every connection with its peer: they are not kept as raw answers.

use evidenced_collector_api::Resource;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::inspection::Inspection;
use crate::processes::Processes;

const TABLES: &[(&str, &str)] = &[
    ("tcp", "/proc/net/tcp"),
    ("tcp", "/proc/net/tcp6"),
    ("udp", "/proc/net/udp"),
    ("udp", "/proc/net/udp6"),
];
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    state: String,
    uid: u32,
    inode: String,
}

impl Socket {
    fn listens(&self, protocol: &str) -> bool {
        match protocol {
            "tcp" => self.state == LISTEN,
            _ => self.state == UNCONNECTED && self.remote.port() == 0 && self.remote.ip().is_unspecified(),
        }
    }
}

pub(crate) fn resources(inspection: &mut Inspection<'_>, processes: &Processes) -> Vec<Resource> {
    same_network_as_init(inspection);
    let (handed_out, range_calls) = handed_out(inspection);
    let mut listeners: BTreeMap<String, Resource> = BTreeMap::new();
    for (protocol, path) in TABLES {
        let table = inspection.read(path);
        let sockets = match table.known().map(|text| sockets(text)) {
            Ok((sockets, false)) => sockets,
            Ok((sockets, true)) => {
                inspection
                    .shortfalls
                    .push(format!("{path} holds lines that are not understood"));
                sockets
            }
            // The kernel was started without IPv6.
            Err(_) if table.is_absent() && path.ends_with('6') => Vec::new(),
            Err(reason) => {
                inspection.shortfalls.push(reason);
                Vec::new()
            }
        };
        for socket in sockets.iter().filter(|socket| socket.listens(protocol)) {
            if *protocol == "udp" && handed_out.contains(socket.local.port()) {
                continue;
            }
            let id = format!("{protocol}/{}", socket.local);
            // Several workers may share one port; the first stands for all.
            listeners.entry(id.clone()).or_insert_with(|| {
                let mut resource = resource(protocol, &id, socket, table.call, processes);
                if *protocol == "udp" {
                    resource.call.extend(&range_calls);
                }
                resource
            });
        }
    }
    listeners.into_values().collect()
}

fn resource(protocol: &str, id: &str, socket: &Socket, call: usize, processes: &Processes) -> Resource {
    let address = socket.local.ip();
    let mut resource = Resource::new("host.listener", id, id, call)
        .with("protocol", protocol)
        .with("address", address.to_string())
        .with("port", socket.local.port())
        .with("loopback", address.to_canonical().is_loopback())
        .with("uid", socket.uid)
        .with_result("process", processes.holding(&socket.inode));
    resource.call.push(processes.call);
    resource
}

/// A service manager may have put us in a network namespace of our own, where nobody listens. Only a privileged
/// process may ask.
fn same_network_as_init(inspection: &mut Inspection<'_>) {
    let (own, first) = (
        inspection.link("/proc/self/ns/net"),
        inspection.link("/proc/1/ns/net"),
    );
    if let (Ok(own), Ok(first)) = (own.known(), first.known())
        && own != first
    {
        inspection
            .shortfalls
            .push("we run in another network namespace than process 1, and see only its sockets".to_owned());
    }
}

/// Ports that the kernel gives to sockets that ask for none.
struct HandedOut {
    first: u16,
    last: u16,
    reserved: Vec<(u16, u16)>,
}

impl HandedOut {
    fn contains(&self, port: u16) -> bool {
        let reserved = self
            .reserved
            .iter()
            .any(|&(from, to)| (from..=to).contains(&port));
        (self.first..=self.last).contains(&port) && !reserved
    }
}

fn handed_out(inspection: &mut Inspection<'_>) -> (HandedOut, Vec<usize>) {
    let range = inspection.read("/proc/sys/net/ipv4/ip_local_port_range");
    let reserved = inspection.read("/proc/sys/net/ipv4/ip_local_reserved_ports");
    let ports = range.known().and_then(|text| {
        let numbers: Option<Vec<u16>> = text.split_whitespace().map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[first, last]) => Ok((first, last)),
            _ => Err(format!("{}: not two port numbers", range.what)),
        }
    });
    let spared = reserved.known().and_then(|text| {
        text.strip_suffix('\n')
            .and_then(port_ranges)
            .ok_or_else(|| format!("{}: not a list of ports", reserved.what))
    });
    for reason in [ports.as_ref().err(), spared.as_ref().err()]
        .into_iter()
        .flatten()
    {
        inspection.shortfalls.push(format!(
            "which UDP ports belong to clients is not known ({reason})"
        ));
    }
    // If it is not known, nothing is left out but what every kernel hands out by default.
    let (first, last) = ports.unwrap_or((32768, 60999));
    let handed_out = HandedOut {
        first,
        last,
        reserved: spared.unwrap_or_default(),
    };
    (handed_out, vec![range.call, reserved.call])
}

/// `8080,9000-9100`.
fn port_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .collect()
}

/// The sockets of a table, and whether it holds anything else.
fn sockets(text: &str) -> (Vec<Socket>, bool) {
    let mut lines = text.lines();
    let mut odd = !lines.next().is_some_and(|head| head.contains("local_address"));
    let sockets = lines
        .filter_map(|line| {
            let socket = socket(line);
            odd |= socket.is_none();
            socket
        })
        .collect();
    (sockets, odd)
}

/// `sl local remote state queues timer retransmits uid timeout inode …`
fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    Some(Socket {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: (*fields.get(3)?).to_owned(),
        uid: fields.get(7)?.parse().ok()?,
        inode: (*fields.get(9)?).to_owned(),
    })
}

/// Addresses stand as 32-bit words in the machine's byte order, ports as they are read.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len())
        .step_by(8)
        .map(|at| {
            Some(
                u32::from_str_radix(address.get(at..at + 8)?, 16)
                    .ok()?
                    .to_ne_bytes(),
            )
        })
        .collect();
    let address = match words?.concat()[..] {
        ref four if four.len() == 4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(four).ok()?)),
        ref sixteen => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(sixteen).ok()?)),
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_in_the_machines_byte_order() {
        assert_eq!(address("0100007F:0277").unwrap().to_string(), "127.0.0.1:631");
        assert_eq!(
            address("00000000000000000000000001000000:0016")
                .unwrap()
                .to_string(),
            "[::1]:22"
        );
        assert_eq!(
            address("B80D0120000000000000000001000000:0050")
                .unwrap()
                .to_string(),
            "[2001:db8::1]:80"
        );
        assert_eq!(address("0100007:0016"), None);
        assert_eq!(address("ZZ00007F:0016"), None);
        assert_eq!(address("ä00007F:0016"), None);
    }

    #[test]
    fn connections_and_bound_udp_with_a_peer_are_no_listeners() {
        let text = format!(
            "{HEAD}   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n   \
             1: 0100000A:0016 0200000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
        );
        let (all, odd) = sockets(&text);
        assert!(!odd);
        assert_eq!(
            all.iter().map(|socket| socket.listens("tcp")).collect::<Vec<_>>(),
            [true, false]
        );
        assert!(!all[1].listens("udp"));
    }

    #[test]
    fn a_reserved_port_is_not_handed_out() {
        let ports = HandedOut {
            first: 32768,
            last: 60999,
            reserved: port_ranges("51820,52000-52010").unwrap(),
        };
        assert!(ports.contains(40000));
        assert!(!ports.contains(51820) && !ports.contains(52003) && !ports.contains(53));
        assert_eq!(port_ranges("").unwrap(), []);
        assert_eq!(port_ranges("x"), None);
    }

    #[test]
    fn a_table_without_its_heading_is_not_taken_for_an_empty_one() {
        assert!(sockets("").1);
        assert!(sockets(&format!("{HEAD}garbage\n")).1);
        assert!(!sockets(HEAD).1);
    }
}
