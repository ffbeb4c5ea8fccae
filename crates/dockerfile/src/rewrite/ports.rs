//! The ports of EXPOSE.

use std::collections::{BTreeMap, BTreeSet};

/// The first EXPOSE of a stage, and all ports so far.
#[derive(Debug)]
pub(super) struct Exposed {
    /// The number of its file.
    pub(super) file: usize,
    /// Where it ends.
    pub(super) end: usize,
    protocols: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    pub(super) fn new(file: usize, end: usize, ports: &[Port]) -> Self {
        let mut exposed = Self {
            file,
            end,
            protocols: BTreeMap::new(),
        };
        for port in ports {
            exposed.add(port);
        }
        exposed
    }

    /// Adds a port. Returns whether its number was there with other protocols only.
    pub(super) fn add(&mut self, port: &Port) -> bool {
        let protocols = self.protocols.entry(port.number.clone()).or_default();
        let first = protocols.is_empty();
        protocols.insert(port.protocol.clone()) && !first
    }
}

/// A port with its protocol.
pub(super) struct Port {
    pub(super) number: String,
    pub(super) protocol: String,
}

impl Port {
    /// Parses `NUMBER[/PROTOCOL]`. `None` if it has a variable.
    pub(super) fn parse(port: &str) -> Option<Self> {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let port = Self {
            number: number.to_owned(),
            protocol: protocol.to_owned(),
        };
        (!number.contains('$') && !protocol.contains('$')).then_some(port)
    }
}

/// Returns `8000-8002/tcp` as three ports. `None` if it is no range.
pub(super) fn range(word: &str) -> Option<Vec<String>> {
    let (ports, protocol) = match word.split_once('/') {
        Some((ports, protocol)) => (ports, format!("/{protocol}")),
        None => (word, String::new()),
    };
    let (first, last) = ports.split_once('-')?;
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    if first > last || protocol.contains('$') {
        return None;
    }
    Some(
        (first..=last)
            .map(|port| format!("{port}{protocol}"))
            .collect(),
    )
}
