//! Hosts that the job has to reach: names resolve, ports answer. No TLS is spoken and nothing is sent.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::scene::Scene;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.names",
        title: "Names of hosts resolve",
        how: "Resolves the hosts of --reach and storage.insecure_registries, and those of the staged registry credentials.",
        look: names,
        cases: &[UNKNOWN],
        ..Check::NEW
    },
    Check {
        id: "network.ports",
        title: "Hosts answer",
        how: "Opens a TCP connection to each of them, on port 443 where none is given, and closes it again.",
        after: &["network.names"],
        look: ports,
        cases: &[SILENT],
        ..Check::NEW
    },
];

const UNKNOWN: Case = Case {
    name: "unknown",
    status: Status::Fail,
    means: "The name of a host that the job needs cannot be resolved: pulls, pushes and the CI service will fail.",
    cure: "From a shell in the pod:\n  getent hosts {host}; cat /etc/resolv.conf\nIf that names the cluster's resolver, allow UDP and TCP port 53 to it in the NetworkPolicy:\n  egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]",
};
const SILENT: Case = Case {
    name: "silent",
    status: Status::Fail,
    means: "A host that the job needs does not answer: a firewall, a NetworkPolicy, a missing proxy setting, or it is down.",
    cure: "In the NetworkPolicy of the pod:\n  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: {port}, protocol: TCP}]}]\nBehind a proxy, on this container:\n  env: [{name: HTTPS_PROXY, value: \"http://PROXY:PORT\"}]",
};

/// For all hosts together: they are asked side by side.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Host and port of everything that has to be reached.
fn targets(scene: &Scene) -> Vec<(String, u16)> {
    let credentials = super::secrets::registries(scene);
    let named = scene
        .reach
        .iter()
        .chain(&scene.config.storage.insecure_registries);
    let mut targets: Vec<_> = named.chain(&credentials).map(|text| target(text)).collect();
    targets.sort();
    targets.dedup();
    targets
}

/// `HOST[:PORT]`, with whatever scheme or path stands around it taken away.
fn target(text: &str) -> (String, u16) {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let place = rest.split('/').next().unwrap_or(rest);
    let port = if scheme == "http" { 80 } else { 443 };
    match place.rsplit_once(':') {
        Some((host, number)) if !host.ends_with(':') => {
            let host = host.trim_matches(['[', ']']).to_owned();
            (host, number.parse().unwrap_or(port))
        }
        _ => (place.trim_matches(['[', ']']).to_owned(), port),
    }
}

/// Asks for all at once; what has not answered in time has not answered.
fn each<T: Send + 'static>(
    targets: &[(String, u16)],
    ask: fn(&str, u16) -> Result<T, String>,
) -> Vec<Result<T, String>> {
    let (sender, answers) = mpsc::channel();
    for (index, (host, port)) in targets.iter().cloned().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send((index, ask(&host, port))));
    }
    drop(sender);
    let end = std::time::Instant::now() + PATIENCE;
    let silence = || Err(format!("no answer within {} ms", PATIENCE.as_millis()));
    let mut all: Vec<_> = targets.iter().map(|_| silence()).collect();
    let left = || end.saturating_duration_since(std::time::Instant::now());
    while let Ok((index, answer)) = answers.recv_timeout(left()) {
        all[index] = answer;
    }
    all
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    Ok(found.collect())
}

fn connect(host: &str, port: u16) -> Result<(), String> {
    let mut last = "it has no address".to_owned();
    for address in resolve(host, port)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn names(scene: &Scene) -> Finding {
    report(scene, resolve, UNKNOWN, "resolve")
}

fn ports(scene: &Scene) -> Finding {
    report(scene, connect, SILENT, "answer")
}

fn report<T: Send + 'static>(
    scene: &Scene,
    ask: fn(&str, u16) -> Result<T, String>,
    case: Case,
    does: &str,
) -> Finding {
    let targets = targets(scene);
    if targets.is_empty() {
        return Finding::skipped("no host is named; --reach HOST[:PORT] names one");
    }
    let answers = each(&targets, ask);
    let wrong: Vec<_> = targets
        .iter()
        .zip(answers)
        .filter_map(|((host, port), answer)| Some((host, port, answer.err()?)))
        .collect();
    let Some((host, port, _)) = wrong.first() else {
        return Finding::ok(format!("{} of {} {does}", targets.len(), targets.len()));
    };
    let told: Vec<_> = wrong
        .iter()
        .map(|(host, port, error)| format!("{host}:{port}: {error}"))
        .collect();
    Finding::case(case, told.join(", "))
        .fill("host", host.as_str())
        .fill("port", port.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_what_configurations_hold() {
        assert_eq!(target("ghcr.io"), ("ghcr.io".to_owned(), 443));
        assert_eq!(
            target("https://index.docker.io/v1/"),
            ("index.docker.io".to_owned(), 443)
        );
        assert_eq!(
            target("localhost:5000/team"),
            ("localhost".to_owned(), 5000)
        );
        assert_eq!(target("[::1]:5000"), ("::1".to_owned(), 5000));
        assert_eq!(target("http://registry"), ("registry".to_owned(), 80));
    }
}
